"""Whether the service is up, and what it serves."""

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from recommender.data.rating_scale import RatingScale
from serving.dependencies import ServiceDependency
from serving.request_record import Part

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    """The service answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """The release being served, and how good it is."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    status: Literal["ready"] = "ready"
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
    rating_scale: RatingScale = Field(examples=[{"min": 0.5, "max": 5.0, "step": 0.5}])
    """The ratings that can be given."""
    may_rate: bool = Field(examples=[False])
    """Whether whoever asks may change the ratings of users."""
    degraded: list[Part] = Field(examples=[[]])
    """What does not work at the moment and is done without."""


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", summary="Is the service up?")
async def alive() -> Alive:
    """Answers as soon as the process listens."""
    return Alive()


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", summary="What is the service ready to serve?")
async def ready(request: Request, service: ServiceDependency) -> Ready:
    """The live release with its headline metrics; a service listens only once it is loaded."""
    manifest = service.release.manifest
    metrics = manifest.metrics
    protocol, stages = metrics.get("protocol"), _mapping(metrics.get("models"))
    return Ready(
        release=manifest.version,
        created_at=manifest.created_at,
        dataset=manifest.dataset,
        users=manifest.counts.users,
        movies=manifest.counts.movies,
        ratings=manifest.counts.ratings,
        protocol=protocol if isinstance(protocol, str) else None,
        metrics=_numbers(stages.get(str(metrics.get("judged")), metrics.get("retrieval"))),
        baselines={name: _numbers(values) for name, values in _mapping(metrics.get("baselines")).items()},
        rating_scale=service.release.rating_scale,
        may_rate="write" in request.state.caller.rights,
        degraded=[] if service.redis is None or service.redis.available else ["cache"],
    )


def _mapping(values: Any) -> dict[str, Any]:
    return values if isinstance(values, dict) else {}


def _numbers(values: Any) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in _mapping(values).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
