"""A release as the service describes it."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from recommender.release import Manifest


class ReleaseSummary(BaseModel):
    """A release, and how good it is."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    release: str = Field(examples=["20260314T092653Z-5f0c6f1f"])
    """Its version."""
    created_at: str = Field(examples=["2026-03-14T09:26:53Z"])
    """When it was written."""
    dataset: str = Field(examples=["ml-100k"])
    """What it was trained on."""
    users: int = Field(examples=[943])
    """How many users it knows."""
    movies: int = Field(examples=[1682])
    """How many movies it knows."""
    ratings: int = Field(examples=[100000])
    """How many ratings it knows."""
    protocol: str | None = Field(default=None, examples=["P-random"])
    """How it was measured."""
    metrics: dict[str, float] = Field(examples=[{"ndcg@10": 0.431, "coverage@10": 0.38}])
    """What was measured of what it serves."""
    baselines: dict[str, dict[str, float]] = Field(examples=[{"most_popular": {"ndcg@10": 0.203}}])
    """The same of simpler recommenders."""


def release_fields(manifest: Manifest) -> dict[str, Any]:
    """The fields of a `ReleaseSummary`."""
    metrics = manifest.metrics
    protocol, stages = metrics.get("protocol"), _mapping(metrics.get("models"))
    return {
        "release": manifest.version,
        "created_at": manifest.created_at,
        "dataset": manifest.dataset,
        "users": manifest.counts.users,
        "movies": manifest.counts.movies,
        "ratings": manifest.counts.ratings,
        "protocol": protocol if isinstance(protocol, str) else None,
        "metrics": _numbers(stages.get(str(metrics.get("judged")), metrics.get("retrieval"))),
        "baselines": {name: _numbers(values) for name, values in _mapping(metrics.get("baselines")).items()},
    }


def _mapping(values: Any) -> dict[str, Any]:
    return values if isinstance(values, dict) else {}


def _numbers(values: Any) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in _mapping(values).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
