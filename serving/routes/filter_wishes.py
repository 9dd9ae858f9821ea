"""What somebody wants movies to be like."""

from typing import Annotated, Literal

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field

from recommender.retrieval.exact_index import ExactMovieIndex
from recommender.retrieval.movie_filter import MovieFilter

_Genre = Annotated[str, Field(min_length=1, max_length=64)]
_GENRES_SHOWN = 50


class FilterWishes(BaseModel):
    """Which movies may come back."""

    model_config = ConfigDict(use_attribute_docstrings=True, frozen=True)

    genres: list[_Genre] = Field(default=[], max_length=32, examples=[["Sci-Fi", "Horror"]])
    """With at least one of these genres; upper and lower case are the same."""
    exclude_genres: list[_Genre] = Field(default=[], max_length=32, examples=[["Romance"]])
    """With none of these genres."""
    year_from: int | None = Field(default=None, ge=0, le=9999, examples=[1970])
    """Released in this year or later; movies without a year never are."""
    year_to: int | None = Field(default=None, ge=0, le=9999, examples=[1999])
    """Released in this year or earlier."""
    min_ratings: int = Field(default=0, ge=0, le=2**31, examples=[20])
    """Rated by at least so many people."""

    def filter_of(
        self, movies: ExactMovieIndex, given_in: Literal["query", "body"] = "query"
    ) -> MovieFilter | None:
        """The filter of these wishes; None if they let every movie pass.

        Args:
            movies: of the release.
            given_in: where the wishes were given.

        Raises:
            RequestValidationError: a genre that no movie has.
        """
        if not (self.genres or self.exclude_genres or self.min_ratings) and (
            self.year_from is None and self.year_to is None
        ):
            return None
        spelled = {genre.casefold(): genre for genre in movies.genre_counts}
        return MovieFilter(
            genres_any=_spelled((given_in, "genres"), self.genres, spelled),
            genres_none=_spelled((given_in, "exclude_genres"), self.exclude_genres, spelled),
            year_from=self.year_from,
            year_to=self.year_to,
            min_ratings=self.min_ratings,
        )


def _spelled(place: tuple[str, str], wanted: list[str], spelled: dict[str, str]) -> tuple[str, ...]:
    """Genres as the release spells them."""
    unknown = [genre for genre in wanted if genre.casefold() not in spelled]
    if unknown:
        known = ", ".join(sorted(spelled.values())[:_GENRES_SHOWN])
        raise RequestValidationError(
            [{"loc": place, "input": unknown[0], "msg": f"a genre of the release: {known}"}]
        )
    return tuple(dict.fromkeys(spelled[genre.casefold()] for genre in wanted))
