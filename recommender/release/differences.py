"""What differs between two releases."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from recommender.evaluation.comparison import Interval
from recommender.evaluation.result import Evaluation
from recommender.release import Manifest


class MetricPair(BaseModel):
    """One metric of two releases."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    first: float | None
    second: float | None
    first_interval: Interval | None
    """95 % bootstrap interval over users, where it was computed."""
    second_interval: Interval | None


class ReleaseDifferences(BaseModel):
    """What differs between two releases."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    first: str
    """Version of one."""
    second: str
    """Version of the other."""
    fields: dict[str, tuple[Any, Any]]
    """By dotted name, what both say, where that differs: configuration (`config.trainer.epochs`), seed, data,
    counts, code and libraries; None where one says nothing."""
    metrics: tuple[MetricPair, ...]
    """What was measured of what each serves, by name."""
    same_test_part: bool
    """Whether both were judged on the same test part and catalogue. Otherwise their metrics cannot be
    compared."""


def release_differences(first: Manifest, second: Manifest) -> ReleaseDifferences:
    """Compare two releases by what they say of themselves."""
    sides = [
        _flat(
            manifest.model_dump(
                mode="json",
                include={
                    "dataset",
                    "config",
                    "seed",
                    "git_commit",
                    "libraries",
                    "data",
                    "counts",
                    "dimension",
                    "blessing",
                    "mlflow_run_id",
                },
            )
        )
        for manifest in (first, second)
    ]
    names = sorted(sides[0].keys() | sides[1].keys())
    fields = {name: (sides[0].get(name), sides[1].get(name)) for name in names}
    evaluations = (evaluation_of(first), evaluation_of(second))
    return ReleaseDifferences(
        first=first.version,
        second=second.version,
        fields={name: values for name, values in fields.items() if values[0] != values[1]},
        metrics=tuple(_metrics(*evaluations)),
        same_test_part=_same_test_part(*evaluations),
    )


def evaluation_of(manifest: Manifest) -> Evaluation | None:
    """A release's evaluation; None where another version of Marquee measured otherwise."""
    try:
        return Evaluation.model_validate(manifest.metrics)
    except ValidationError:
        return None


def _metrics(first: Evaluation | None, second: Evaluation | None) -> list[MetricPair]:
    means = [{} if one is None else one.means for one in (first, second)]
    intervals = [{} if one is None else one.intervals.get(one.judged, {}) for one in (first, second)]
    return [
        MetricPair(
            name=name,
            first=means[0].get(name),
            second=means[1].get(name),
            first_interval=intervals[0].get(name),
            second_interval=intervals[1].get(name),
        )
        for name in sorted(means[0].keys() | means[1].keys())
    ]


def _same_test_part(first: Evaluation | None, second: Evaluation | None) -> bool:
    if first is None or second is None or first.test_sha256 is None:
        return False
    return (first.test_sha256, first.n_movies) == (second.test_sha256, second.n_movies)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
