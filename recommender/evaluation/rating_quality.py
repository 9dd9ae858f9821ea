"""How far predicted ratings are off, and whether they mean what they say."""

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

Ratings = npt.NDArray[np.float32]

BINS = 10
"""Bins of a reliability table."""


class ReliabilityBin(BaseModel):
    """Ratings that were predicted alike."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    low: float
    """The lowest prediction."""
    high: float
    """The highest prediction."""
    n_ratings: int
    """How many there are."""
    predicted: float
    """Mean prediction."""
    actual: float
    """Mean rating: where predictions mean what they say, the same."""


def rating_errors(predicted: Ratings, actual: Ratings) -> dict[str, float]:
    """RMSE and MAE, both in stars.

    Args:
        predicted: float32 [ratings].
        actual: float32 [ratings].

    Returns:
        `rmse`, the root of the mean squared error, and `mae`, the mean absolute error.
    """
    error = predicted.astype(np.float64) - actual
    return {"rmse": float(np.sqrt((error**2).mean())), "mae": float(np.abs(error).mean())}


def reliability(predicted: Ratings, actual: Ratings) -> tuple[ReliabilityBin, ...]:
    """Ratings in ten bins with as many in each, lowest predictions first (DeGroot and Fienberg 1983).

    Equal predictions stay together, so that there may be fewer bins, with other counts.

    Args:
        predicted: float32 [ratings].
        actual: float32 [ratings].
    """
    edges = np.unique(np.quantile(predicted, np.arange(1, BINS) / BINS))
    bin_of_each = np.searchsorted(edges, predicted, side="right")
    return tuple(
        ReliabilityBin(
            low=float(predicted[own].min()),
            high=float(predicted[own].max()),
            n_ratings=int(own.sum()),
            predicted=float(predicted[own].mean(dtype=np.float64)),
            actual=float(actual[own].mean(dtype=np.float64)),
        )
        for own in (bin_of_each == number for number in range(len(edges) + 1))
        if own.any()
    )
