"""Movies for a user."""

import logging
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from recommender.current_history import CurrentHistory, current_history
from recommender.errors import RatingStoreError
from serving.caching.cache import Question
from serving.caching.conditional import json_once
from serving.dependencies import Service, UserId, service_of
from serving.problems import documented
from serving.recommendation_answers import answered
from serving.records.request_record import RequestRecord
from serving.routes.recommendation_wishes import RecommendationWishes
from serving.routes.recommended_movies import RecommendedMovies, described

router = APIRouter(prefix="/api/v1", tags=["recommendations"])
_LOG = logging.getLogger("marquee.serving")


class Recommendations(RecommendedMovies):
    """Movies for a user."""

    user_id: int = Field(examples=[42])
    """Whom they are for."""


@router.get(
    "/recommendations/{user_id}",
    summary="Recommend movies to a user",
    response_model=Recommendations,
    response_model_exclude_unset=True,
    responses={304: {"description": "What `If-None-Match` names."}, **documented(401, 422, 429, 500, 503)},
)
async def recommend(
    request: Request, user_id: UserId, wishes: Annotated[RecommendationWishes, Query()]
) -> Response:
    """Movies the user has not rated; for a user nobody knows, the most popular ones.

    A rating that was acknowledged before this was asked counts.
    """

    async def answer(request: Request) -> Response:
        return json_once(request, await recommendations_for(service_of(request), user_id, wishes))

    return await service_of(request).repeats.answer(request, answer)


async def recommendations_for(
    service: Service,
    user_id: int,
    wishes: RecommendationWishes,
    given_in: Literal["query", "body"] = "query",
) -> bytes:
    """`Recommendations` for a user, as JSON.

    Args:
        service: that of the request.
        user_id: whom they are for.
        wishes: what they must be like.
        given_in: where the wishes were given.

    Raises:
        RequestValidationError: a genre that no movie of the release has.
    """
    record, release = RequestRecord.current(), service.release
    filter = wishes.filter_of(service.recommender.exact, given_in)

    def compute() -> Recommendations:
        current = history_by_now(service, user_id)
        recommender, history = service.recommender, current.history
        if current.version:
            found = recommender.recommend_for(
                history, wishes.limit, user_id, filter=filter, diversity=wishes.diversity, timing=record.stage
            )
        else:
            found = recommender.recommend(
                user_id, wishes.limit, filter=filter, diversity=wishes.diversity, timing=record.stage
            )
        if found.exact_instead:
            record.degrade("index")
        return Recommendations(
            user_id=user_id,
            release=release.version,
            strategy=found.strategy,
            items=described(release, found, history, service.explainer if wishes.explain else None),
            degraded=record.degraded,
        )

    key = None
    if wishes.use_cache:
        try:
            version = await service.computing.at_once(service.ratings.version, user_id)
        except RatingStoreError as error:
            _without_ratings(error)
        else:
            question = Question("recommendations", f"[{user_id},{wishes.model_dump_json()}]")
            key = question.key(release.version, version)
    return await answered(service, user_id, key, compute)


def history_by_now(service: Service, user_id: int) -> CurrentHistory:
    """What a user has rated by now, or, where the store does not answer, what the release knows."""
    try:
        return current_history(service.release, service.ratings, user_id)
    except RatingStoreError as error:
        _without_ratings(error)
        return CurrentHistory(service.release.history_of(user_id), version=0)


def _without_ratings(error: RatingStoreError) -> None:
    _LOG.warning("%s Recommending by the release's ratings alone.", error)
    RequestRecord.current().degrade("ratings")
