"""Means and standard deviations of ratings that come out the same in whatever order rows are added.

Adding floating-point numbers depends on the order, and so on the number of threads. Ratings are therefore
counted in whole ten-thousandths: sums of whole numbers are exact, so equal input gives equal bytes. A rating
with more than four decimals is rounded to four.
"""

from typing import Any

import ibis
from ibis.expr import types as ir

_POINTS = 10_000


def is_usable(rating: ir.Value) -> ir.Value:
    """Whether the rating is a number to reckon with: not missing, not NaN, not infinite."""
    # By trying a cast, because Parquet's minimum and maximum leave NaN out, and DuckDB concludes from them
    # that `isnan` of such a column, or a comparison with infinity, need not be looked at.
    return (rating.cast("float64") * _POINTS).try_cast("int64").notnull()


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
