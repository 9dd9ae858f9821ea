"""How ratings are spread over users, or over movies: from equally to a few having nearly all."""

from collections.abc import Mapping
from typing import Final, Self

import numpy as np
from pydantic import BaseModel

_CURVE_POINTS: Final = 100


class RangeCount(BaseModel):
    """How many users or movies have from `low` to `high` ratings, both included."""

    low: int
    high: int
    count: int


class CurvePoint(BaseModel):
    """What share of all ratings the users, or movies, with the most ratings have."""

    share: float
    """Of the users or movies."""
    share_of_ratings: float


class Activity(BaseModel):
    """How many ratings each user has, or each rated movie."""

    mean: float
    minimum: float
    p10: float
    p25: float
    median: float
    p75: float
    p90: float
    p99: float
    maximum: float
    gini: float
    """Gini coefficient: 0 if all have equally many ratings, near 1 if few have nearly all."""
    n_with_one: int
    """Exactly one rating: nothing to learn from once it is set aside for testing."""
    n_below_5: int
    n_below_10: int
    n_below_20: int
    histogram: tuple[RangeCount, ...]
    """By ranges from 1, 2, 5, 10, 20, 50 and so on, each up to where the next begins."""
    curve: tuple[CurvePoint, ...]
    """Cumulative: at 1 %, 2 % and so on of the users or movies, those with the most ratings first. A share
    that is no whole number of them is rounded up."""

    @classmethod
    def from_counts(cls, counts: Mapping[int, int]) -> Self | None:
        """Compute it from how many users, or movies, have a number of ratings.

        This table is small whatever the data: n ratings make no more than sqrt(2 n) different numbers.

        Args:
            counts: From a number of ratings, 1 or more, to how many have it.

        Returns:
            None if nobody has any.
        """
        if not counts:
            return None
        numbers = np.array(sorted(counts), np.int64)
        having = np.array([counts[number] for number in numbers.tolist()], np.int64)
        quantiles = _quantiles(numbers, having, (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0))
        minimum, p10, p25, median, p75, p90, p99, maximum = quantiles
        return cls(
            mean=int(numbers @ having) / int(having.sum()),
            minimum=minimum,
            p10=p10,
            p25=p25,
            median=median,
            p75=p75,
            p90=p90,
            p99=p99,
            maximum=maximum,
            gini=_gini(numbers, having),
            n_with_one=counts.get(1, 0),
            n_below_5=_number_below(counts, 5),
            n_below_10=_number_below(counts, 10),
            n_below_20=_number_below(counts, 20),
            histogram=tuple(_histogram(counts)),
            curve=tuple(_curve(numbers[::-1], having[::-1])),
        )


def _quantiles(numbers: np.ndarray, having: np.ndarray, at: tuple[float, ...]) -> list[float]:
    """Quantiles, linear between neighbours."""
    up_to = having.cumsum()
    places = np.array(at) * (up_to[-1] - 1)
    below, above = (
        numbers[np.searchsorted(up_to, edge.astype(np.int64), side="right")]
        for edge in (np.floor(places), np.ceil(places))
    )
    return [float(value) for value in below + (above - below) * (places - np.floor(places))]


def _gini(numbers: np.ndarray, having: np.ndarray) -> float:
    """2 * sum(i * x_i) / (m * sum(x)) - (m + 1) / m, x ascending, i from 1."""
    size, total, weighted = 0, 0, 0
    for number, count in zip(numbers.tolist(), having.tolist(), strict=True):
        # The places of those with equally many: size + 1 to size + count.
        weighted += number * (count * size + count * (count + 1) // 2)
        size, total = size + count, total + number * count
    return (2 * weighted - (size + 1) * total) / (size * total)


def _number_below(counts: Mapping[int, int], limit: int) -> int:
    return sum(count for number, count in counts.items() if number < limit)


def _histogram(counts: Mapping[int, int]) -> list[RangeCount]:
    edges = [1]
    while edges[-1] <= max(counts):
        digit = int(str(edges[-1])[0])
        edges.append(edges[-1] * 5 // 2 if digit == 2 else edges[-1] * 2)
    below = [_number_below(counts, edge) for edge in edges]
    return [
        RangeCount(low=low, high=end - 1, count=up_to - before)
        for low, end, before, up_to in zip(edges, edges[1:], below, below[1:], strict=False)
    ]


def _curve(numbers: np.ndarray, having: np.ndarray) -> list[CurvePoint]:
    """The cumulative curve; most ratings first."""
    up_to, ratings = having.cumsum(), (numbers * having).cumsum()
    size, total = int(up_to[-1]), int(ratings[-1])
    points = []
    for percent in range(1, _CURVE_POINTS + 1):
        most = -(-percent * size // _CURVE_POINTS)
        place = int(np.searchsorted(up_to, most))
        # Those further on in the same group have equally many ratings, and are not counted yet.
        beyond = int(up_to[place]) - most
        held = int(ratings[place]) - beyond * int(numbers[place])
        points.append(CurvePoint(share=percent / _CURVE_POINTS, share_of_ratings=held / total))
    return points
