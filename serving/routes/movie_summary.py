"""A movie as the service describes it."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from recommender.release import Movie


class MovieSummary(BaseModel):
    """What is shown of a movie."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    movie_id: int = Field(examples=[1214])
    """The movie's id in the ratings."""
    title: str = Field(examples=["Alien (1979)"])
    """Its title, as in the source."""
    release_year: int | None = Field(examples=[1979])
    """The year it came out, if known."""
    genres: list[str] = Field(examples=[["Horror", "Sci-Fi"]])
    """Its genres; may be empty."""


class MovieDetails(MovieSummary):
    """A movie, and what people thought of it when the release was made."""

    rating_count: int = Field(examples=[875])
    """How many people rated it."""
    rating_mean: float | None = Field(examples=[4.03])
    """Their mean rating; null for none."""


def summary_of(movie: Movie) -> dict[str, Any]:
    """The fields of a `MovieSummary`."""
    return {
        "movie_id": movie.movie_id,
        "title": movie.title,
        "release_year": movie.release_year,
        "genres": list(movie.genres),
    }


def details_of(movie: Movie) -> dict[str, Any]:
    """The fields of a `MovieDetails`."""
    mean = movie.rating_mean
    return {
        **summary_of(movie),
        "rating_count": movie.rating_count,
        "rating_mean": None if mean is None else round(mean, 3),
    }
