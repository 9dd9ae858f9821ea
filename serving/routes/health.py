"""Whether the service is up, and what it serves."""

from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from recommender.data.rating_scale import RatingScale
from serving.dependencies import Service, ServiceDependency
from serving.records.request_record import Part
from serving.routes.release_summary import ReleaseSummary, release_fields
from serving.server_index import ServerIndex

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    """The service answers."""

    status: Literal["ok"] = "ok"


class Ready(ReleaseSummary):
    """The release being served, and how good it is."""

    status: Literal["ready"] = "ready"
    rating_scale: RatingScale = Field(examples=[{"min": 0.5, "max": 5.0, "step": 0.5}])
    """The ratings that can be given."""
    may_rate: bool = Field(examples=[False])
    """Whether whoever asks may change the ratings of users."""
    language_model: bool = Field(examples=[False])
    """Whether a language model words explanations."""
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
    return Ready(
        **release_fields(service.release.manifest),
        rating_scale=service.release.rating_scale,
        may_rate="write" in request.state.caller.rights,
        language_model=service.wording is not None,
        degraded=_degraded(service),
    )


def _degraded(service: Service) -> list[Part]:
    degraded: list[Part] = []
    if service.redis is not None and not service.redis.available:
        degraded.append("cache")
    if isinstance(service.index, ServerIndex) and not service.index.available:
        degraded.append("index")
    return degraded
