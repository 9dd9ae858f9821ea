"""How far ratings have moved since the previous run."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import Field

from recommender.configuration import Configuration
from recommender.data.activity import Activity
from recommender.data.checks.anomalies import Anomaly
from recommender.data.checks.drift_measure import DriftMeasure
from recommender.data.statistics import Statistics

_REMEDY: Final = (
    "If the source is meant to have changed, nothing is wrong: the next run compares with this one."
)


class DriftConfig(Configuration):
    """How much may change from one run to the next before it is reported."""

    max_count_change: float = Field(default=0.5, ge=0)
    """Of the numbers of users, movies and ratings: |now / before - 1|. Half as many again is much for the
    time between two runs; an export that was cut short loses about as much."""
    max_mean_shift: float = Field(default=0.1, ge=0)
    """Of the average rating, in standard deviations of the ratings before; a tenth is 0.1 stars."""
    max_distance: float = Field(default=0.1, ge=0, le=1)
    """Total variation distance, from 0 to 1: the share of ratings, or users, that would have to move to
    another value, genre or number of ratings for both runs to look alike."""
    is_error: bool = False
    """Stop the run, instead of warning."""


def check_drift(now: Statistics, before: Statistics, config: DriftConfig) -> Iterator[Anomaly]:
    """Compare the statistics of two runs.

    Ratings counted in ranges of another width than before are not compared value by value.

    Args:
        now: Of this run.
        before: Of the previous run.
        config: The thresholds.
    """
    for measure in measure_drift(now, before, config):
        if measure.is_too_far:
            yield _anomaly(measure, config)


def measure_drift(now: Statistics, before: Statistics, config: DriftConfig) -> Iterator[DriftMeasure]:
    """Say how far everything that is looked at has moved, whether that is too far or not.

    Args:
        now: Of this run.
        before: Of the previous run.
        config: The thresholds.
    """
    for name in ("n_users", "n_movies", "n_ratings"):
        new, old = getattr(now, name), getattr(before, name)
        if old:
            change = new / old - 1
            words = f"{old:,} before, {new:,} now: {change:+.0%}"
            yield DriftMeasure(
                kind="count_drift", column=name, words=words, change=change, limit=config.max_count_change
            )
    if now.avg_rating is not None and before.avg_rating is not None and before.rating_std:
        shift = (now.avg_rating - before.avg_rating) / before.rating_std
        words = f"{before.avg_rating:.3f} before, {now.avg_rating:.3f} now: {shift:+.2f} standard deviations"
        yield DriftMeasure(
            kind="mean_drift", column="avg_rating", words=words, change=shift, limit=config.max_mean_shift
        )
    for column, what, distance in _distances(now, before):
        yield DriftMeasure(
            kind="distribution_drift",
            column=column,
            words=f"{distance:.0%} of {what}",
            change=distance,
            limit=config.max_distance,
        )


def _distances(now: Statistics, before: Statistics) -> Iterator[tuple[str, str, float]]:
    if now.ratings.width == before.ratings.width:
        values = ({bar.rating: bar.count for bar in each.ratings.bars} for each in (now, before))
        yield "ratings", "ratings would have to have another value", total_variation(*values)
    genres = ({row.genre: row.n_ratings for row in each.genres} for each in (now, before))
    yield "genres", "ratings would have to be of another genre", total_variation(*genres)
    activity = (_by_activity(each.ratings_per_user) for each in (now, before))
    what = "users would have to have another number of ratings"
    yield "ratings_per_user", what, total_variation(*activity)


def total_variation(new: Mapping[Any, int], old: Mapping[Any, int]) -> float:
    """Half the sum of the differences of shares; 0 if one of the two counts nothing."""
    n_new, n_old = sum(new.values()), sum(old.values())
    if not n_new or not n_old:
        return 0.0
    return sum(abs(new.get(key, 0) / n_new - old.get(key, 0) / n_old) for key in {**new, **old}) / 2


def _by_activity(activity: Activity | None) -> dict[int, int]:
    return {} if activity is None else {bar.low: bar.count for bar in activity.histogram}


def _anomaly(measure: DriftMeasure, config: DriftConfig) -> Anomaly:
    return Anomaly(
        kind=measure.kind,
        severity="error" if config.is_error else "warning",
        table=Statistics.file_name,
        column=measure.column,
        count=1,
        message=f"not as in the previous run: {measure.words}",
        remedy=_REMEDY,
    )
