"""Why one movie is recommended."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import numpy as np
from fastapi import APIRouter, Body, HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator

from recommender.current_history import CurrentHistory
from recommender.data.rating_store import LARGEST_ID
from recommender.explanations.context import Context, context_of
from recommender.explanations.reasons import Reason, only, reasons_of
from recommender.release import History
from serving.caching.cache import Question
from serving.dependencies import Service, ServiceDependency
from serving.model_wording import SETTLED, Fallback, NoWordsError
from serving.problems import documented
from serving.records.request_record import RequestRecord
from serving.routes.movie_evidence import MovieEvidence
from serving.routes.ratings import require_on_scale
from serving.routes.recommendations import history_by_now
from serving.routes.visitor_recommendations import GivenRating

router = APIRouter(prefix="/api/v1", tags=["recommendations"])
_STREAM = "text/event-stream"


class ExplanationRequest(BaseModel):
    """For whom a movie is to be explained, and which."""

    model_config = ConfigDict(strict=True, extra="forbid", use_attribute_docstrings=True, frozen=True)

    movie_id: int = Field(ge=0, le=LARGEST_ID, examples=[1214])
    """The recommended movie."""
    user_id: int | None = Field(default=None, ge=0, le=LARGEST_ID, examples=[42])
    """To whom; or `ratings` instead."""
    ratings: list[GivenRating] | None = Field(default=None, max_length=1000, examples=[None])
    """What a visitor has rated, oldest first."""

    @model_validator(mode="after")
    def _is_for_somebody(self) -> Self:
        if (self.user_id is None) == (self.ratings is None):
            raise ValueError("give either user_id or ratings")
        return self


class Explanation(BaseModel):
    """Why one movie is recommended."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    release: str = Field(examples=["20260314T092653Z-5f0c6f1f"])
    """The release that answered."""
    movie_id: int = Field(examples=[1214])
    """The movie."""
    rank: int = Field(examples=[3])
    """Its place among all recommendations, without filters."""
    text: str = Field(examples=["Because you rated Blade Runner (1982) 5 stars; it is science fiction, too."])
    """Why, in one or two sentences."""
    wording: Literal["default", "language_model"] = Field(examples=["default"])
    """Who found the words."""
    fallback: Fallback | None = Field(examples=[None])
    """Why the language model's words were not used; null where they were, or where there is no model."""
    evidence: MovieEvidence | None
    """What the score is made of; null as in recommendations."""


@dataclass(frozen=True, slots=True)
class _Known:
    """Everything that can be said without a language model."""

    rank: int
    reason: Reason
    context: Context | None

    def explanation(self, asked: ExplanationRequest, release: str, fallback: Fallback | None) -> Explanation:
        return Explanation(
            release=release,
            movie_id=asked.movie_id,
            rank=self.rank,
            text=f"{self.reason.text}.",
            wording="default",
            fallback=fallback,
            evidence=None if self.reason.evidence is None else MovieEvidence.of(self.reason.evidence),
        )


@router.post(
    "/explanations",
    summary="Explain one recommendation",
    response_model=Explanation,
    responses={
        200: {"content": {_STREAM: {"schema": {"type": "string"}}}},
        **documented(400, 401, 404, 413, 422, 429, 500, 503),
    },
)
async def explain(
    request: Request, service: ServiceDependency, asked: Annotated[ExplanationRequest, Body()]
) -> Response:
    """Why a movie is recommended to a user or a visitor, worded by a language model where there is one.

    With `Accept: text/event-stream` the words come as they are found: `text` events with a sentence each,
    then one `explanation` event with the whole answer, which counts; where it differs, so do the words.
    """
    key, known = None, None
    current = await _history(service, asked)
    model = service.wording
    if not RequestRecord.current().degraded:
        name = None if model is None else model.name
        question = Question("explanation", f"{json.dumps(name)}{asked.model_dump_json()}")
        key = question.key(service.release.version, current.version)
        body = await service.answers.remembered(key)
        if body is not None:
            return _answer(request, body)
    known = await service.computing(_known, service, asked, current)
    if model is None or known.context is None:
        body = known.explanation(asked, service.release.version, None).model_dump_json().encode()
        if key is not None:
            await service.answers.remember(key, body)
        return _answer(request, body)
    events = _worded(service, asked, known, known.context, key)
    if _STREAM in request.headers.get("accept", ""):
        return StreamingResponse(
            (event async for event in events), media_type=_STREAM, headers={"Cache-Control": "no-store"}
        )
    last = b""
    async for event in events:
        last = event
    return Response(_data_of(last), media_type="application/json")


async def _history(service: Service, asked: ExplanationRequest) -> CurrentHistory:
    """What somebody has rated."""
    if asked.user_id is not None:
        return await service.computing.at_once(history_by_now, service, asked.user_id)
    ratings = asked.ratings or []
    for number, given in enumerate(ratings):
        require_on_scale(service.release, given.rating, "ratings", number, "rating")
    history = History(
        np.array([given.movie_id for given in ratings], np.int64),
        np.array([given.rating for given in ratings], np.float32),
        np.zeros(len(ratings), np.int64),
    )
    return CurrentHistory(history, version=0)


def _known(service: Service, asked: ExplanationRequest, current: CurrentHistory) -> _Known:
    release, recommender, history = service.release, service.recommender, current.history
    if release.movie_position(asked.movie_id) is None:
        raise HTTPException(404, f"Movie {asked.movie_id} is not in release {release.version}.")
    if asked.movie_id in history.movie_ids:
        raise HTTPException(404, f"Movie {asked.movie_id} has been rated, so it is not recommended.")
    everything = len(release.movie_ids)
    second = recommender.re_ranking
    # First as it is recommended, among what is recalled.
    for limit in dict.fromkeys(
        [everything if second is None else min(second.candidates, everything), everything]
    ):
        # As in recommendations, so that the numbers are the same.
        if asked.user_id is None or current.version:
            recommended = recommender.recommend_for(history, limit, asked.user_id)
        else:
            recommended = recommender.recommend(asked.user_id, limit)
        found = only(recommended, asked.movie_id)
        if found is not None:
            break
    else:
        raise HTTPException(404, f"Movie {asked.movie_id} is not in the index of {release.version}.")
    rank, alone = found
    reason = reasons_of(service.explainer, alone, history)[0]
    context = None
    if reason.evidence is not None and service.wording is not None:
        context = context_of(service.explainer, reason.evidence, history)
    return _Known(rank, reason, context)


async def _worded(
    service: Service, asked: ExplanationRequest, known: _Known, context: Context, key: str | None
) -> AsyncIterator[bytes]:
    """The events of an answer that a language model words; the last is the whole one."""
    assert service.wording is not None
    release, text = service.release.version, ""
    answer = known.explanation(asked, release, None)
    try:
        async for sentence in service.wording.sentences(context):
            text += sentence
            yield _event("text", json.dumps({"text": sentence}).encode())
        answer = answer.model_copy(update={"text": text, "wording": "language_model"})
    except NoWordsError as error:
        answer = answer.model_copy(update={"fallback": error.reason})
    body = answer.model_dump_json().encode()
    if key is not None and (answer.fallback is None or answer.fallback in SETTLED):
        await service.answers.remember(key, body)
    yield _event("explanation", body)


def _answer(request: Request, body: bytes) -> Response:
    if _STREAM in request.headers.get("accept", ""):
        return Response(
            _event("explanation", body), media_type=_STREAM, headers={"Cache-Control": "no-store"}
        )
    return Response(body, media_type="application/json")


def _event(name: str, data: bytes) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), data)


def _data_of(event: bytes) -> bytes:
    return event.partition(b"\ndata: ")[2].strip()
