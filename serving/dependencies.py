"""What routes are given: the release being served and what answers from it."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request
from fastapi import Path as PathParameter

from recommender.data.rating_store import LARGEST_ID, RatingStore
from recommender.release import Release
from recommender.retrieval.movie_index import MovieIndex
from recommender.retrieval.recommend import Recommender
from serving.cache import Cache


@dataclass(frozen=True, slots=True)
class Service:
    """Everything one service holds, made once before it listens."""

    release: Release
    index: MovieIndex
    recommender: Recommender
    cache: Cache
    ratings: RatingStore


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _anybody() -> None:
    """Nobody is asked for a key yet."""


def _request_id(request: Request) -> str:
    request_id: str = request.state.request_id
    return request_id


ServiceDependency = Annotated[Service, Depends(_service)]
RequestId = Annotated[str, Depends(_request_id)]
WriteAccess = Annotated[None, Depends(_anybody)]
"""Of routes that change something: who may."""

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
