"""Means and standard deviations of ratings that come out the same in whatever order rows are added.

Adding floating-point numbers depends on the order, and so on the number of threads. Ratings are therefore
counted in whole ten-thousandths: sums of whole numbers are exact, so equal input gives equal bytes. A rating
with more than four decimals is rounded to four.

Inside the engine the sums are float64, which is exact while the squares of a group add up to less than 2**53:
3.6 million ratings of five stars. For a whole table there are `rating_counts` and `moments_of_counts`, which
have no such bound.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

import ibis
from ibis.expr import types as ir

from recommender.data.columns import Columns

_POINTS: Final = 10_000
# Ten thousand times this still is a 64-bit whole number.
_LARGEST: Final = 9e14


def is_usable(rating: ir.Value) -> ir.Value:
    """Whether the rating is a number to reckon with: not missing, not NaN, not infinite, not beyond 9e14."""
    number = rating.cast("float64")
    # Zero times NaN or infinity is NaN. Asked with `isnan`, `try_cast` or a comparison, DuckDB may conclude
    # from Parquet's minimum and maximum, which leave NaN out, that there is nothing to be looked at.
    is_finite = (number * 0) == 0
    return (is_finite & number.between(-_LARGEST, _LARGEST)).fill_null(False)


def points(rating: ir.Value) -> ir.Value:
    """The rating in whole ten-thousandths, float64; NaN and infinity count as missing."""
    usable = is_usable(rating)
    # The inner choice keeps what has no whole number away from the rounding, whatever the engine does first.
    whole = (usable.ifelse(rating.cast("float64"), 0.0) * _POINTS).round().cast("float64")
    return usable.ifelse(whole, ibis.null("float64"))


def from_points(value: Any) -> Any:
    """Ten-thousandths back to rating units."""
    return value / _POINTS


def exact_mean(rating: ir.Value) -> ir.Value:
    """Mean of a group of ratings, float64: sum / count; missing for an empty group."""
    whole = points(rating)
    return from_points(whole.sum() / whole.count())


def population_std(rating: ir.Value) -> ir.Value:
    """Population standard deviation of a group of ratings, float64.

    sqrt(n * sum(r^2) - sum(r)^2) / n: divided by n, not n - 1, so one rating has a spread of 0. Equal ratings
    have exactly 0. Missing for an empty group.
    """
    whole = points(rating)
    count = whole.count()
    total = whole.sum()
    scatter = count * (whole * whole).sum() - total * total
    # Rounding in the difference of two large numbers must not turn "no spread" into "a tiny spread".
    spread = (whole.max() > whole.min()).ifelse(ibis.greatest(scatter, 0.0).sqrt() / count, 0.0)
    return from_points((count > 0).ifelse(spread, ibis.null("float64")))


def rating_counts(ratings: ir.Table) -> tuple[dict[int, int], int]:
    """How often each rating occurs.

    Returns:
        Ratings in whole ten-thousandths, ascending, each with its count; and how many are missing or not
        finite.
    """
    # By the stored values first, which leaves a handful to convert.
    stored = ratings.group_by(Columns.RATING).aggregate(n=ratings.count())
    whole = stored.select("n", value=points(stored[Columns.RATING]).cast("int64"))
    counted = whole.group_by("value").aggregate(n=whole["n"].sum()).to_pyarrow()
    counts = dict(zip(counted["value"].to_pylist(), counted["n"].to_pylist(), strict=True))
    unusable = counts.pop(None, 0)
    return dict(sorted(counts.items())), unusable


def moments_of_counts(counts: Mapping[int, int]) -> tuple[float | None, float | None]:
    """Mean and population standard deviation of ratings as `rating_counts` counts them; None for none."""
    n = sum(counts.values())
    if not n:
        return None, None
    total = sum(value * count for value, count in counts.items())
    squares = sum(value * value * count for value, count in counts.items())
    return from_points(total / n), from_points(math.sqrt(n * squares - total * total) / n)
