"""Which movies a search may bring back."""

from dataclasses import dataclass
from typing import Any, Final

from recommender.release import Release

MOVIE_ID: Final = "movie_id"
GENRES: Final = "genres"
RELEASE_YEAR: Final = "release_year"
RATING_COUNT: Final = "rating_count"
PAYLOAD_FIELDS: Final = (GENRES, RELEASE_YEAR, RATING_COUNT)
"""What an index keeps of each movie to filter by: a list of strings, an integer or None, an integer."""


@dataclass(frozen=True, slots=True)
class MovieFilter:
    """What a movie must be like to come back; one that says nothing lets every movie pass.

    A movie passes if it does so by every field. One without a release year passes by neither year.

    Attributes:
        genres_any: it has at least one of these, as the movies table spells them; empty for any movie.
        genres_all: it has all of these.
        genres_none: it has none of these.
        year_from: it was released in this year or later.
        year_to: it was released in this year or earlier.
        min_ratings: at least so many people rated it.
    """

    genres_any: tuple[str, ...] = ()
    genres_all: tuple[str, ...] = ()
    genres_none: tuple[str, ...] = ()
    year_from: int | None = None
    year_to: int | None = None
    min_ratings: int = 0


def payloads_of(release: Release) -> list[dict[str, Any]]:
    """What an index keeps of each movie of a release, in the order of its `movie_ids`."""
    return [
        {GENRES: list(movie.genres), RELEASE_YEAR: movie.release_year, RATING_COUNT: movie.rating_count}
        for movie in map(release.movie, release.movie_ids.tolist())
    ]
