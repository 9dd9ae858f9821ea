"""Movies of the release: searching them, looking at one, and those like it."""

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, HTTPException, Query, Request, Response
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from recommender.release import Release
from serving.caching.conditional import of_release
from serving.dependencies import Limit, MovieId, Service, ServiceDependency
from serving.problems import documented
from serving.records.request_record import Part, RequestRecord
from serving.routes.filter_wishes import FilterWishes
from serving.routes.movie_summary import MovieDetails, details_of

router = APIRouter(prefix="/api/v1", tags=["movies"])
_NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "What `If-None-Match` names."}}


class MovieSearch(FilterWishes):
    """Which movies to look for."""

    query: str = Field(default="", max_length=100, examples=["the matrix"])
    """A title or words of it, mistyped or not yet typed to the end; empty for all movies."""
    offset: int = Field(default=0, ge=0, le=2**31, examples=[0])
    """How many to pass over."""
    limit: int = Field(default=10, ge=1, le=100, examples=[10])
    """How many to return at most."""


class Movies(BaseModel):
    """Movies: those most like the query first, or those most rated."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    release: str = Field(examples=["20260314T092653Z-5f0c6f1f"])
    """The release that answered."""
    total: int = Field(examples=[9])
    """How many there are in all."""
    items: list[MovieDetails]
    """Those from `offset` on."""


class GenreSummary(BaseModel):
    """One genre."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    genre: str = Field(examples=["Sci-Fi"])
    """Its name."""
    movie_count: int = Field(examples=[101])
    """How many movies have it."""


class Genres(BaseModel):
    """The genres of a release."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    release: str = Field(examples=["20260314T092653Z-5f0c6f1f"])
    """The release that answered."""
    items: list[GenreSummary]
    """By name."""


class DescribedMovie(MovieDetails):
    """One movie."""

    tags: list[str] = Field(examples=[["space", "aliens", "atmospheric"]])
    """What users have called it, most given first; may be empty."""
    release: str = Field(examples=["20260314T092653Z-5f0c6f1f"])
    """The release that answered."""


class SimilarMovie(MovieDetails):
    """A movie like another."""

    rank: int = Field(examples=[1])
    """1 for the most similar."""
    score: float = Field(examples=[0.71])
    """The dot product of both movies' vectors."""


class SimilarMovies(BaseModel):
    """Movies like one."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    release: str = Field(examples=["20260314T092653Z-5f0c6f1f"])
    """The release that answered."""
    movie_id: int = Field(examples=[1214])
    """The movie that they are like."""
    items: list[SimilarMovie]
    """The most similar first."""
    degraded: list[Part] = Field(examples=[[]])
    """What failed and was done without: `index` searches every vector."""


@router.get(
    "/movies",
    summary="Find movies",
    response_model=Movies,
    responses={**_NOT_MODIFIED, **documented(401, 422, 429, 500, 503)},
)
def find_movies(
    request: Request, service: ServiceDependency, search: Annotated[MovieSearch, Query()]
) -> Response:
    """Movies by title, forgiving of typos, accents and the order of words; without a query the most rated."""

    def make() -> Movies:
        found = _found(service, search)
        return Movies(
            release=service.release.version,
            total=len(found),
            items=[
                MovieDetails(**details_of(service.release.movie(movie_id)))
                for movie_id in service.release.movie_ids[
                    found[search.offset : search.offset + search.limit]
                ].tolist()
            ],
        )

    return of_release(request, service.release.version, make)


@router.get(
    "/genres",
    summary="Which genres are there?",
    response_model=Genres,
    responses={**_NOT_MODIFIED, **documented(401, 429, 500, 503)},
)
def genres(request: Request, service: ServiceDependency) -> Response:
    """The genres that movies can be filtered by."""

    def make() -> Genres:
        counts = service.recommender.exact.genre_counts
        return Genres(
            release=service.release.version,
            items=[GenreSummary(genre=genre, movie_count=count) for genre, count in counts.items()],
        )

    return of_release(request, service.release.version, make)


@router.get(
    "/movies/{movie_id}",
    summary="Describe a movie",
    response_model=DescribedMovie,
    responses={**_NOT_MODIFIED, **documented(401, 404, 422, 429, 500, 503)},
)
def movie(request: Request, service: ServiceDependency, movie_id: MovieId) -> Response:
    """What the release knows of a movie."""
    release = service.release
    _require_known(release, movie_id)
    return of_release(
        request,
        release.version,
        lambda: DescribedMovie(
            **details_of(release.movie(movie_id)),
            tags=list(release.tags(movie_id)),
            release=release.version,
        ),
    )


@router.get(
    "/movies/{movie_id}/similar",
    summary="Find movies like one",
    response_model=SimilarMovies,
    responses={**_NOT_MODIFIED, **documented(401, 404, 422, 429, 500, 503)},
)
def similar(
    request: Request,
    service: ServiceDependency,
    movie_id: MovieId,
    wishes: Annotated[FilterWishes, Query()],
    limit: Limit = 10,
) -> Response:
    """The movies whose vectors are nearest to this one's."""
    release = service.release
    _require_known(release, movie_id)
    filter = wishes.filter_of(service.recommender.exact)
    record = RequestRecord.current()

    def make() -> SimilarMovies:
        with record.stage("recall"):
            found = service.recommender.similar(movie_id, limit, filter=filter)
        if found.exact_instead:
            record.degrade("index")
        return SimilarMovies(
            release=release.version,
            movie_id=movie_id,
            items=[
                SimilarMovie(**details_of(release.movie(scored.movie_id)), rank=rank, score=scored.score)
                for rank, scored in enumerate(found.movies, start=1)
            ],
            degraded=record.degraded,
        )

    return of_release(request, release.version, make)


def _found(service: Service, search: MovieSearch) -> NDArray[np.int64]:
    """Rows of the movies that are looked for, in order."""
    filter = search.filter_of(service.recommender.exact)
    rows = (
        service.loaded.titles.find(search.query)
        if search.query.strip()
        else service.release.popular_positions
    )
    return rows if filter is None else rows[service.recommender.exact.passing(filter)[rows]]


def _require_known(release: Release, movie_id: int) -> None:
    if release.movie_position(movie_id) is None:
        raise HTTPException(404, f"Movie {movie_id} is not in release {release.version}.")
