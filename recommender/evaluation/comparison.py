"""Whether a model is better than another on the same users, or only seems to be."""

from pydantic import BaseModel, ConfigDict

from recommender.evaluation.bootstrap import percentile_interval
from recommender.evaluation.evaluator import RankingQuality

Interval = tuple[float, float]


class Comparison(BaseModel):
    """One metric of a model beside the same of another; intervals are 95 % ones of the paired bootstrap."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    difference: float
    """The model's minus the other's."""
    difference_interval: Interval
    """Of the difference."""
    ratio: float | None
    """The model's divided by the other's; None where the other's is 0."""
    ratio_interval: Interval | None
    """Of the ratio; None where the other's is 0 in any sample."""
    better_share: float
    """Share of the samples in which the model's is greater."""


def compare(model: RankingQuality, other: RankingQuality) -> dict[str, Comparison]:
    """Compare every metric that is a mean over users, pair by pair.

    In each sample the same users are drawn for both models, so that what makes a user easy or hard to please
    drops out of the difference (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 8).

    Args:
        model: Judged with intervals.
        other: Judged on the same users with the same seed.

    Raises:
        ValueError: they were judged on other users, or without intervals.
    """
    names = list(model.per_user)
    if (
        names != list(other.per_user)
        or model.users.tolist() != other.users.tolist()
        or not len(model.samples)
        or model.samples.shape != other.samples.shape
    ):
        raise ValueError(
            "models can be compared that were judged alike, with intervals and on the same users"
        )
    compared = {}
    for column, name in enumerate(names):
        ours, theirs = model.samples[:, column], other.samples[:, column]
        low, high = percentile_interval(ours - theirs)
        has_ratio = bool((theirs > 0).all()) and other.means[name] > 0
        ratio_interval = percentile_interval(ours / theirs) if has_ratio else None
        compared[name] = Comparison(
            difference=model.means[name] - other.means[name],
            difference_interval=(float(low), float(high)),
            ratio=model.means[name] / other.means[name] if has_ratio else None,
            ratio_interval=None
            if ratio_interval is None
            else (float(ratio_interval[0]), float(ratio_interval[1])),
            better_share=float((ours > theirs).mean()),
        )
    return compared
