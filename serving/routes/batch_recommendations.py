"""Movies for many users at once."""

from typing import Annotated

from fastapi import APIRouter, Body, Response
from pydantic import BaseModel, ConfigDict, Field

from recommender.data.rating_store import LARGEST_ID
from serving.dependencies import ServiceDependency
from serving.problems import documented
from serving.routes.recommendation_wishes import RecommendationRequest
from serving.routes.recommendations import Recommendations, recommendations_for

router = APIRouter(prefix="/api/v1", tags=["recommendations"])


class BatchRequest(RecommendationRequest):
    """Many users, and what they want."""

    user_ids: list[Annotated[int, Field(ge=0, le=LARGEST_ID)]] = Field(
        min_length=1, max_length=100, examples=[[42, 43]]
    )
    """Whom to recommend to."""


class BatchRecommendations(BaseModel):
    """Movies for many users."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    release: str = Field(examples=["20260314T092653Z-5f0c6f1f"])
    """The release that answered."""
    items: list[Recommendations]
    """For each user what `GET /api/v1/recommendations/{user_id}` answers, in the order of `user_ids`."""


@router.post(
    "/recommendations:batch",
    summary="Recommend movies to many users",
    response_model=BatchRecommendations,
    response_model_exclude_unset=True,
    responses=documented(400, 401, 413, 422, 429, 500, 503),
)
async def recommend_to_many(
    service: ServiceDependency,
    asked: Annotated[BatchRequest, Body()],
) -> Response:
    """Movies for each of up to 100 users, all with the same wishes and from one release."""
    # One after the other, so that one who asks for many leaves room for the others.
    bodies = [await recommendations_for(service, user_id, asked, "body") for user_id in asked.user_ids]
    head = f'{{"release":"{service.release.version}","items":['.encode()
    return Response(head + b",".join(bodies) + b"]}", media_type="application/json")
