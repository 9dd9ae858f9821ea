"""What a user has rated: reading it, adding to it, removing from it."""

import time
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

import numpy as np
from fastapi import APIRouter, Header, HTTPException, Query, Response
from fastapi.exceptions import RequestValidationError
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from recommender.current_history import CurrentHistory, current_history
from recommender.data.rating_store import LARGEST_ID, LARGEST_RATING, LATEST_TIMESTAMP
from recommender.release import History, Release
from serving.access.security import WriteAccess
from serving.dependencies import Limit, MovieId, Offset, Service, ServiceDependency, UserId
from serving.problems import documented
from serving.routes.movie_summary import MovieSummary, summary_of

router = APIRouter(prefix="/api/v1/users/{user_id}", tags=["ratings"])

CLOCK_SKEW_S: Final = 300
"""How far a caller's clock may be ahead."""

Order = Annotated[
    Literal["latest", "best"],
    Query(
        description="The latest first, or the best first and the latest among equals.", examples=["latest"]
    ),
]
IdempotencyKey = Annotated[
    str,
    Header(
        pattern="^[!-~]{0,128}$",
        description="Anything that no other rating of this user has, such as a UUID. The same rating with "
        "the same key counts once, however often it is sent.",
        examples=["0b7e3d5a-6f0e-4c55-9d2b-6f6d1f1c2a10"],
    ),
]


class NewRating(BaseModel):
    """What a user thinks of a movie."""

    model_config = ConfigDict(
        strict=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True, frozen=True
    )

    movie_id: int = Field(ge=0, le=LARGEST_ID, examples=[1214])
    """The movie's id in the ratings."""
    rating: float = Field(ge=-LARGEST_RATING, le=LARGEST_RATING, examples=[4.5])
    """On the scale of the release's ratings, such as 0.5 to 5 in steps of 0.5."""
    timestamp: int | None = Field(default=None, ge=1, le=LATEST_TIMESTAMP, examples=[1773480413])
    """When it was given, Unix seconds; now, if this is left out."""


class RatedMovie(MovieSummary):
    """A movie with a user's rating."""

    rating: float = Field(examples=[4.5])
    """What the user gave."""
    rated_at: datetime | None = Field(examples=["1998-03-04T12:30:00Z"])
    """When, UTC; null where the ratings came without times."""


class AcknowledgedRating(RatedMovie):
    """A rating that is on disk."""

    user_id: int = Field(examples=[42])
    """Whose it is."""
    version: int = Field(examples=[3])
    """How often the user's ratings have changed, with this one."""


class UserRatings(BaseModel):
    """What a user has rated."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    user_id: int = Field(examples=[42])
    """Who."""
    position: int | None = Field(examples=[41])
    """The place among all users of the release, by id, from 0; null for who is not among them yet."""
    rating_count: int = Field(examples=[183])
    """How many movies of the release the user has rated."""
    highest_rating: float = Field(examples=[5.0])
    """The top of the scale."""
    release: str = Field(examples=["20260314T092653Z-5f0c6f1f"])
    """The release that answered."""
    version: int = Field(examples=[3])
    """How often the user has added, changed or removed a rating through the service."""
    items: list[RatedMovie]
    """The ratings from `offset` on."""


@router.get("/ratings", summary="What a user has rated", responses=documented(401, 404, 422, 429, 500, 503))
def ratings(
    service: ServiceDependency,
    user_id: UserId,
    order: Order = "latest",
    offset: Offset = 0,
    limit: Limit = 10,
) -> UserRatings:
    """The movies a user has rated, those of the release's data and those rated since together."""
    release = service.release
    current = _known_history(service, user_id)
    rated = current.history
    rows = _ordered(rated, order)
    rows = rows[release.movie_positions(rated.movie_ids[rows]) >= 0]
    return UserRatings(
        user_id=user_id,
        position=release.user_position(user_id),
        rating_count=len(rows),
        highest_rating=release.rating_scale.max,
        release=release.version,
        version=current.version,
        items=[
            RatedMovie(
                **summary_of(release.movie(int(rated.movie_ids[row]))),
                rating=round(float(rated.ratings[row]), 4),
                rated_at=_time(int(rated.timestamps[row])),
            )
            for row in rows[offset : offset + limit].tolist()
        ],
    )


@router.get(
    "/history",
    summary="What a user has rated, best first",
    responses=documented(401, 404, 422, 429, 500, 503),
    deprecated=True,
)
def history(service: ServiceDependency, user_id: UserId, limit: Limit = 10) -> UserRatings:
    """The same as `ratings?order=best`."""
    return ratings(service, user_id, "best", 0, limit)


@router.post(
    "/ratings",
    summary="Rate a movie",
    status_code=201,
    responses=documented(400, 401, 403, 404, 409, 413, 422, 429, 500, 503, 507),
)
def rate(
    service: ServiceDependency,
    _access: WriteAccess,
    response: Response,
    user_id: UserId,
    new: NewRating,
    idempotency_key: IdempotencyKey = "",
) -> AcknowledgedRating:
    """Keep what a user thinks of a movie; answered once it is on disk.

    It replaces the user's rating of that movie, unless that was given later. The same `Idempotency-Key` with
    the same rating is answered as the first time, with `Idempotency-Replayed: true`; with another rating it
    is a conflict. Somebody who is in no release yet begins a history with it.
    """
    release = service.release
    _require_known(release, new.movie_id)
    require_on_scale(release, new.rating, "rating")
    _require_not_ahead(new.timestamp)
    stored, is_new = service.ratings.rate(
        user_id, new.movie_id, new.rating, new.timestamp, idempotency_key or None
    )
    if not is_new:
        response.headers["Idempotency-Replayed"] = "true"
    return AcknowledgedRating(
        **summary_of(release.movie(stored.movie_id)),
        rating=stored.rating,
        rated_at=_time(stored.timestamp),
        user_id=user_id,
        version=stored.version,
    )


@router.delete(
    "/ratings/{movie_id}",
    summary="Remove a rating",
    status_code=204,
    responses=documented(401, 403, 404, 422, 429, 500, 503, 507),
)
def remove(service: ServiceDependency, _access: WriteAccess, user_id: UserId, movie_id: MovieId) -> None:
    """Remove a user's rating of a movie, also one that came with the release's data."""
    current = current_history(service.release, service.ratings, user_id)
    if movie_id not in current.history.movie_ids:
        raise HTTPException(404, f"User {user_id} has no rating of movie {movie_id}.")
    service.ratings.delete(user_id, movie_id)


def _known_history(service: Service, user_id: int) -> CurrentHistory:
    current = current_history(service.release, service.ratings, user_id)
    is_known = current.version or service.release.user_position(user_id) is not None
    if not is_known and not len(current.history.movie_ids):
        raise HTTPException(
            404,
            f"User {user_id} is not in release {service.release.version} and has rated nothing since. "
            "GET /api/v1/users lists those who are.",
        )
    return current


def _ordered(rated: History, order: Literal["latest", "best"]) -> NDArray[np.intp]:
    if order == "latest":
        return np.lexsort((rated.movie_ids, -rated.timestamps))
    return np.lexsort((rated.movie_ids, -rated.timestamps, -rated.ratings))


def _require_known(release: Release, movie_id: int) -> None:
    if release.movie_position(movie_id) is None:
        raise HTTPException(404, f"Movie {movie_id} is not in release {release.version}.")


def require_on_scale(release: Release, rating: float, *place: str | int) -> None:
    """Refuse a rating that is not on the scale of a release.

    Args:
        release: whose scale.
        rating: of a movie.
        place: where in the body it was given.

    Raises:
        RequestValidationError: it is not on the scale.
    """
    if not release.rating_scale.holds(rating):
        raise _unfit(place, rating, release.rating_scale.in_words())


def _require_not_ahead(timestamp: int | None) -> None:
    if timestamp is not None and timestamp > time.time() + CLOCK_SKEW_S:
        raise _unfit(("timestamp",), timestamp, "Unix seconds that are not in the future")


def _unfit(place: tuple[str | int, ...], value: float, allowed: str) -> RequestValidationError:
    return RequestValidationError([{"loc": ("body", *place), "input": value, "msg": allowed}])


def _time(timestamp: int) -> datetime | None:
    # Ratings without times stand at 0 in a release.
    return datetime.fromtimestamp(timestamp, UTC) if timestamp else None
