"""Answers with recommendations: from the cache or computed, and told to the log."""

import time
from collections.abc import Callable

from pydantic import BaseModel

from recommender.retrieval.recommend import Strategy
from serving.caching.answers import Answer
from serving.dependencies import Service
from serving.records import events
from serving.records.request_record import RequestRecord


class _ServedMovie(BaseModel):
    movie_id: int


class _Served(BaseModel):
    """What an event needs of an answer."""

    release: str
    strategy: Strategy
    items: list[_ServedMovie]


async def answered(
    service: Service, user_id: int | None, key: str | None, compute: Callable[[], bytes]
) -> bytes:
    """An answer with recommendations.

    Args:
        service: that of the request.
        user_id: whom they are for, if that is known.
        key: what the answer is remembered under; None to neither look for it nor remember it.
        compute: makes it.
    """
    started = time.perf_counter()
    record = RequestRecord.current()
    if key is None:
        body = await service.computing(compute)
        answer = Answer(body, _Served.model_validate_json(body), remembered=False)
    else:
        answer = await service.answers.get(key, compute, _Served.model_validate_json)
    events.record(
        events.RecommendationsServed(
            request_id=record.request_id,
            user_id=user_id,
            release=answer.content.release,
            strategy=answer.content.strategy,
            movie_ids=[item.movie_id for item in answer.content.items],
            milliseconds=round(1000 * (time.perf_counter() - started), 3),
            cached=answer.remembered,
            degraded=record.degraded,
        )
    )
    record.told = True
    return answer.body
