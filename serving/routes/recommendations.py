"""Movies for a user."""

import time
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from recommender.explanations.evidence import find_evidence
from recommender.explanations.wording import because_popular, because_you_liked
from recommender.release import Release
from recommender.retrieval.recommend import Recommended, Strategy
from serving import events
from serving.cache import Question
from serving.dependencies import Limit, Service, UserId, service_of
from serving.problems import documented
from serving.request_record import Part, RequestRecord
from serving.routes.movie_summary import MovieSummary

router = APIRouter(prefix="/api/v1", tags=["recommendations"])


class RecommendedMovie(MovieSummary):
    """One recommended movie."""

    rank: int = Field(examples=[1])
    """1 for the best."""
    score: float = Field(examples=[0.8731])
    """How well it fits: with `two_stage` the re-ranker's score, with `two_tower` the dot product of user and
    movie vector, with `popular` how many people rated it. Comparable within one answer only."""
    predicted_rating: float | None = Field(examples=[4.2])
    """What the user would give it, in stars; null where that cannot be told."""
    reason: str | None = Field(default=None, examples=["Because you liked Blade Runner (1982)"])
    """Why it is recommended, if `explain=true`."""


class Recommendations(BaseModel):
    """Movies for a user, best first."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    user_id: int = Field(examples=[42])
    """Whom they are for."""
    release: str = Field(examples=["20260314T092653Z-5f0c6f1f"])
    """The release that answered."""
    strategy: Strategy = Field(examples=["two_stage"])
    """How they were found. `two_stage`: recalled by the user's own vector, then ordered anew. `two_tower`: by
    the vector alone, where the release has no re-ranker. `popular`: nothing is known of the user."""
    items: list[RecommendedMovie]
    """The movies; fewer than `limit` where fewer are left. Movies the user has rated never come back."""
    degraded: list[Part] = Field(examples=[[]])
    """What failed and was done without: `cache` computes each answer anew, `index` searches every vector."""


class _ServedMovie(BaseModel):
    """What an event needs of a movie."""

    movie_id: int


class _Served(BaseModel):
    """What an event needs of an answer."""

    release: str
    strategy: Strategy
    items: list[_ServedMovie]


@router.get(
    "/recommendations/{user_id}",
    summary="Recommend movies to a user",
    response_model=Recommendations,
    response_model_exclude_unset=True,
    responses=documented(401, 422, 429, 500),
)
async def recommend(
    request: Request,
    user_id: UserId,
    limit: Limit = 10,
    explain: Annotated[bool, Query(description="Say why for each movie.", examples=[True])] = False,
) -> Response:
    """Movies the user has not rated, best first; for a user nobody knows, the most popular ones."""
    question = Question("recommendations", user_id=user_id, limit=limit, explain=explain)

    async def answer(request: Request) -> Response:
        return await _answer(service_of(request), question, user_id, limit, explain=explain)

    return await service_of(request).repeats.answer(request, answer)


async def _answer(
    service: Service, question: Question, user_id: int, limit: int, *, explain: bool
) -> Response:
    started = time.perf_counter()
    record = RequestRecord.current()
    answer = await service.answers.get(
        question.key(service.release.version, history=0),
        lambda: _compute(service, record, user_id, limit, explain=explain),
        _Served.model_validate_json,
    )
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
    return Response(answer.body, media_type="application/json")


def _compute(service: Service, record: RequestRecord, user_id: int, limit: int, *, explain: bool) -> bytes:
    with record.stage("recall"):
        recommended = service.recommender.recommend(user_id, limit)
    if recommended.exact_instead:
        record.degrade("index")
    items = []
    for rank, (movie_id, score, rating) in enumerate(recommended.movies, start=1):
        movie = service.release.movie(movie_id)
        items.append(
            RecommendedMovie(
                rank=rank,
                movie_id=movie_id,
                title=movie.title,
                release_year=movie.release_year,
                genres=list(movie.genres),
                score=score,
                predicted_rating=None if rating is None else round(rating, 2),
            )
        )
    if explain:
        for item, reason in zip(items, _reasons(service.release, user_id, recommended), strict=True):
            item.reason = reason
    answer = Recommendations(
        user_id=user_id,
        release=service.release.version,
        strategy=recommended.strategy,
        items=items,
        degraded=record.degraded,
    )
    return answer.model_dump_json(exclude_unset=True).encode()


def _reasons(release: Release, user_id: int, recommended: Recommended) -> list[str]:
    movie_ids = [movie.movie_id for movie in recommended.movies]
    if recommended.strategy == "popular":
        return [because_popular(release.movie(movie_id)) for movie_id in movie_ids]
    evidence = find_evidence(release, release.history_of(user_id), np.asarray(movie_ids, dtype=np.int64))
    return [because_you_liked([release.movie(movie_id) for movie_id in liked]) for liked in evidence]
