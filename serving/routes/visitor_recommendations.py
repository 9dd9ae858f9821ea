"""Movies for whoever says what they have rated."""

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Body, Response
from pydantic import BaseModel, ConfigDict, Field

from recommender.data.rating_store import LARGEST_ID, LARGEST_RATING
from recommender.release import History
from serving.caching.cache import Question
from serving.dependencies import ServiceDependency
from serving.problems import documented
from serving.recommendation_answers import answered
from serving.records.request_record import RequestRecord
from serving.routes.ratings import require_on_scale
from serving.routes.recommendation_wishes import RecommendationRequest
from serving.routes.recommended_movies import RecommendedMovies, described

router = APIRouter(prefix="/api/v1", tags=["recommendations"])


class GivenRating(BaseModel):
    """What a visitor thinks of a movie."""

    model_config = ConfigDict(
        strict=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True, frozen=True
    )

    movie_id: int = Field(ge=0, le=LARGEST_ID, examples=[1214])
    """The movie's id in the ratings."""
    rating: float = Field(ge=-LARGEST_RATING, le=LARGEST_RATING, examples=[4.5])
    """On the scale of the release's ratings, such as 0.5 to 5 in steps of 0.5."""


class VisitorRequest(RecommendationRequest):
    """What a visitor has rated, and what they want."""

    ratings: list[GivenRating] = Field(max_length=1000, examples=[[{"movie_id": 1214, "rating": 4.5}]])
    """Oldest first; of two of one movie the last counts. None for the most popular movies."""


class VisitorRecommendations(RecommendedMovies):
    """Movies for a visitor."""

    unknown_movie_ids: list[int] = Field(examples=[[]])
    """Rated movies that the release does not know: passed over."""


@router.post(
    "/recommendations",
    summary="Recommend movies by ratings",
    response_model=VisitorRecommendations,
    response_model_exclude_unset=True,
    responses=documented(400, 401, 413, 422, 429, 500, 503),
)
async def recommend_to_visitor(
    service: ServiceDependency,
    asked: Annotated[VisitorRequest, Body()],
) -> Response:
    """The same as for a user, for a list of ratings instead: a visitor, a new user, a session.

    Nothing is kept but the answer, for a while. Movies that the release does not know are reported.
    """
    record, release = RequestRecord.current(), service.release
    filter = asked.filter_of(service.recommender.exact, "body")
    for number, given in enumerate(asked.ratings):
        require_on_scale(release, given.rating, "ratings", number, "rating")
    history = History(
        np.array([given.movie_id for given in asked.ratings], np.int64),
        np.array([given.rating for given in asked.ratings], np.float32),
        np.zeros(len(asked.ratings), np.int64),
    )

    def compute() -> VisitorRecommendations:
        found = service.recommender.recommend_for(
            history, asked.limit, filter=filter, diversity=asked.diversity, timing=record.stage
        )
        if found.exact_instead:
            record.degrade("index")
        return VisitorRecommendations(
            release=release.version,
            strategy=found.strategy,
            items=described(release, found, history, service.explainer if asked.explain else None),
            unknown_movie_ids=list(dict.fromkeys(found.unknown_movie_ids)),
            degraded=record.degraded,
        )

    key = None
    if asked.use_cache:
        key = Question("visitor_recommendations", asked.model_dump_json()).key(release.version, 0)
    return Response(await answered(service, None, key, compute), media_type="application/json")
