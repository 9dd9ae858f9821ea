"""What routes are given: the release being served and what answers from it."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request
from fastapi import Path as PathParameter

from recommender.release import Release
from recommender.retrieval.movie_index import MovieIndex
from recommender.retrieval.recommend import Recommender
from serving.answers import Answers
from serving.metrics import Metrics
from serving.redis_link import RedisLink
from serving.request_record import RequestRecord


@dataclass(frozen=True, slots=True)
class Service:
    """Everything one service holds, made once before it listens."""

    release: Release
    index: MovieIndex
    recommender: Recommender
    answers: Answers
    metrics: Metrics
    redis: RedisLink | None


# Coroutines, because FastAPI calls plain functions in a thread of their own, which takes longer than they do.
async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def _record(request: Request) -> RequestRecord:
    record: RequestRecord = request.state.record
    return record


ServiceDependency = Annotated[Service, Depends(_service)]
RecordDependency = Annotated[RequestRecord, Depends(_record)]

UserId = Annotated[
    int,
    PathParameter(ge=0, le=2**63 - 1, description="The user's id in the ratings.", examples=[42]),
]
Limit = Annotated[int, Query(ge=1, le=100, description="How many to return at most.", examples=[10])]
