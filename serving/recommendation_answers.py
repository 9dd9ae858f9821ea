"""Answers with recommendations: from the cache or computed, and told to the log."""

import time
from collections.abc import Callable

from pydantic import BaseModel

from recommender.retrieval.recommend import Strategy
from serving.dependencies import Service
from serving.records import events
from serving.records.request_record import RequestRecord
from serving.routes.recommended_movies import RecommendedMovies


class _Told(BaseModel):
    """What an event needs of an answer, remembered beside it: nobody has to read the answer for that."""

    release: str
    strategy: Strategy
    movie_ids: list[int]


async def answered(
    service: Service, user_id: int | None, key: str | None, compute: Callable[[], RecommendedMovies]
) -> bytes:
    """An answer with recommendations, as JSON.

    Args:
        service: that of the request.
        user_id: whom they are for, if that is known.
        key: what the answer is remembered under; None to neither look for it nor remember it.
        compute: makes it.
    """
    started = time.perf_counter()
    record = RequestRecord.current()

    def packed() -> bytes:
        return _packed(compute())

    if key is None:
        content, remembered = _unpacked(await service.computing(packed)), False
    else:
        answer = await service.answers.get(key, packed, _unpacked)
        content, remembered = answer.content, answer.remembered
    told, body = content
    events.record(
        events.RecommendationsServed(
            request_id=record.request_id,
            user_id=user_id,
            release=told.release,
            strategy=told.strategy,
            movie_ids=told.movie_ids,
            milliseconds=round(1000 * (time.perf_counter() - started), 3),
            cached=remembered,
            degraded=record.degraded,
        )
    )
    record.told = True
    return body


def _packed(answer: RecommendedMovies) -> bytes:
    told = _Told(
        release=answer.release,
        strategy=answer.strategy,
        movie_ids=[movie.movie_id for movie in answer.items],
    )
    return f"{told.model_dump_json()}\n{answer.model_dump_json(exclude_unset=True)}".encode()


def _unpacked(packed: bytes) -> tuple[_Told, bytes]:
    """What an event needs of an answer, and the answer.

    Raises:
        ValueError: this is no such answer.
    """
    told, _, body = packed.partition(b"\n")
    if not (body.startswith(b"{") and body.endswith(b"}")):
        raise ValueError("no answer")
    return _Told.model_validate_json(told), body
