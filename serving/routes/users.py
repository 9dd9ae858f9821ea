"""Users of a release."""

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from recommender.release import Release
from serving.dependencies import Limit, Offset, ServiceDependency
from serving.problems import documented

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
    """How many movies the user had rated when the release was made."""


class Users(BaseModel):
    """Users, lowest id first."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    release: str = Field(examples=["20260314T092653Z-5f0c6f1f"])
    """The release that answered."""
    total: int = Field(examples=[943])
    """How many there are in all."""
    items: list[UserSummary]
    """Those from `offset` on."""


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
    offset: Offset = 0,
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
