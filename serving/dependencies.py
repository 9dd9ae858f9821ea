"""What routes are given: the release being served and what answers from it."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request
from fastapi import Path as PathParameter

from recommender.data.rating_store import LARGEST_ID, RatingStore
from recommender.explanations.evidence import Explainer
from recommender.release import Release
from recommender.retrieval.movie_index import MovieIndex
from recommender.retrieval.recommend import Recommender
from serving.caching.answers import Answers
from serving.caching.repeats import Repeats
from serving.computing import Computing
from serving.model_wording import ModelWording
from serving.records.metrics import Metrics
from serving.redis_link import RedisLink
from serving.releases.loaded_release import LoadedRelease


@dataclass(frozen=True, slots=True)
class Service:
    """Everything one service holds. A request that keeps to the one it was given keeps to one release."""

    loaded: LoadedRelease
    ratings: RatingStore
    answers: Answers
    computing: Computing
    repeats: Repeats
    metrics: Metrics
    redis: RedisLink | None
    wording: ModelWording | None = None

    @property
    def release(self) -> Release:
        """The release being served."""
        return self.loaded.release

    @property
    def index(self) -> MovieIndex:
        """Its index."""
        return self.loaded.index

    @property
    def recommender(self) -> Recommender:
        """What recommends from it."""
        return self.loaded.recommender

    @property
    def explainer(self) -> Explainer:
        """What says why it recommends."""
        return self.loaded.explainer


# A coroutine, because FastAPI calls a plain function in a thread, which takes longer than it does.
async def _service(request: Request) -> Service:
    return service_of(request)


def service_of(request: Request) -> Service:
    """The service that answers a request, as it is at this moment."""
    service: Service = request.app.state.service
    return service


ServiceDependency = Annotated[Service, Depends(_service)]

UserId = Annotated[
    int,
    PathParameter(ge=0, le=LARGEST_ID, description="The user's id in the ratings.", examples=[42]),
]
MovieId = Annotated[
    int,
    PathParameter(ge=0, le=LARGEST_ID, description="The movie's id in the ratings.", examples=[1214]),
]
Offset = Annotated[int, Query(ge=0, le=2**31, description="How many to pass over.", examples=[0])]
Limit = Annotated[int, Query(ge=1, le=100, description="How many to return at most.", examples=[10])]
