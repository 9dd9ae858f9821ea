"""Users and what they have rated."""

from datetime import UTC, datetime
from typing import Annotated

import numpy as np
from fastapi import APIRouter, HTTPException, Query
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from recommender.release import Release
from serving.dependencies import Limit, ServiceDependency, UserId
from serving.problems import documented
from serving.routes.movie_summary import MovieSummary

router = APIRouter(prefix="/api/v1/users", tags=["users"])
_LONGEST_ID = 18


class UserSummary(BaseModel):
    """One user."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    user_id: int = Field(examples=[42])
    """The user's id in the ratings."""
    position: int = Field(examples=[41])
    """The place among all users, by id, from 0: the `offset` that finds this user."""
    rating_count: int = Field(examples=[183])
    """How many movies the user has rated."""


class Users(BaseModel):
    """Users, lowest id first."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    release: str = Field(examples=["20260314T092653Z-5f0c6f1f"])
    """The release that answered."""
    total: int = Field(examples=[943])
    """How many there are in all."""
    items: list[UserSummary]
    """Those from `offset` on."""


class RatedMovie(MovieSummary):
    """A movie with a user's rating."""

    rating: float = Field(examples=[4.5])
    """What the user gave."""
    rated_at: datetime | None = Field(examples=["1998-03-04T12:30:00Z"])
    """When, UTC; null where the ratings came without times."""


class UserHistory(BaseModel):
    """What a user has rated, best first, the latest first among equals."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    user_id: int = Field(examples=[42])
    """Who."""
    position: int = Field(examples=[41])
    """The place among all users, by id, from 0."""
    rating_count: int = Field(examples=[183])
    """How many movies the user has rated."""
    highest_rating: float = Field(examples=[5.0])
    """The highest rating that anybody gave: the top of the scale."""
    release: str = Field(examples=["20260314T092653Z-5f0c6f1f"])
    """The release that answered."""
    items: list[RatedMovie]
    """The best-rated movies."""


@router.get("", summary="Find users", responses=documented(401, 422, 429, 500))
def find_users(
    service: ServiceDependency,
    query: Annotated[
        str,
        Query(
            pattern=rf"^[0-9]{{0,{_LONGEST_ID}}}$",
            description="First digits of the id; empty for all.",
            examples=["4"],
        ),
    ] = "",
    offset: Annotated[int, Query(ge=0, le=2**31, description="How many to pass over.", examples=[0])] = 0,
    limit: Limit = 10,
) -> Users:
    """Users whose id starts with some digits, lowest id first, with how many movies each has rated."""
    release = service.release
    matches = _starting_with(release.user_ids, query)
    return Users(
        release=release.version,
        total=len(matches),
        items=[_summary(release, int(position)) for position in matches[offset : offset + limit]],
    )


@router.get(
    "/{user_id}/history", summary="What a user has rated", responses=documented(401, 404, 422, 429, 500)
)
def history(service: ServiceDependency, user_id: UserId, limit: Limit = 10) -> UserHistory:
    """The movies a user rated best, the latest first among equals."""
    release = service.release
    position = release.user_position(user_id)
    if position is None:
        raise HTTPException(
            404, f"User {user_id} is not in release {release.version}. GET /api/v1/users lists those who are."
        )
    rated = release.history_of(user_id)
    order = np.lexsort((rated.movie_ids, -rated.timestamps, -rated.ratings))
    order = order[release.movie_positions(rated.movie_ids[order]) >= 0][:limit]
    items = []
    for row in order.tolist():
        movie = release.movie(int(rated.movie_ids[row]))
        items.append(
            RatedMovie(
                movie_id=movie.movie_id,
                title=movie.title,
                release_year=movie.release_year,
                genres=list(movie.genres),
                rating=round(float(rated.ratings[row]), 4),
                rated_at=_time(int(rated.timestamps[row])),
            )
        )
    summary = _summary(release, position)
    return UserHistory(
        user_id=user_id,
        position=position,
        rating_count=summary.rating_count,
        highest_rating=release.highest_rating,
        release=release.version,
        items=items,
    )


def _summary(release: Release, position: int) -> UserSummary:
    return UserSummary(
        user_id=int(release.user_ids[position]),
        position=position,
        rating_count=int(release.user_rating_counts[position]),
    )


def _starting_with(user_ids: NDArray[np.int64], digits: str) -> NDArray[np.int64]:
    """Positions of the ids that start with some digits, ascending; ids are ascending."""
    if not digits:
        return np.arange(len(user_ids))
    first = int(digits)
    if str(first) != digits:
        return np.empty(0, dtype=np.int64)
    # 4 starts 4, then 40 to 49, then 400 to 499: one run of ids for each length.
    widths = 10 ** np.arange(_LONGEST_ID + 1 - len(digits), dtype=np.int64)
    if first == 0:
        widths = widths[:1]
    starts = np.searchsorted(user_ids, first * widths)
    stops = np.searchsorted(user_ids, (first + 1) * widths)
    return np.concatenate([np.arange(a, b) for a, b in zip(starts, stops, strict=True)])


def _time(timestamp: int) -> datetime | None:
    # Ratings without times stand at 0 in a release.
    return datetime.fromtimestamp(timestamp, UTC) if timestamp else None
