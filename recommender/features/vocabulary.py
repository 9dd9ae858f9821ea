"""Genres and ids, numbered."""

from pathlib import Path
from typing import Final, Self

import ibis
from ibis.expr import types as ir
from pydantic import BaseModel, ConfigDict, ValidationError

from recommender.data.columns import Columns
from recommender.errors import DataError

GENRE: Final = "genre"
GENRE_INDEX: Final = "genre_index"


class Vocabulary(BaseModel):
    """What the positions in the transformed tables stand for."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    genres: tuple[str, ...]
    """Genres of the catalogue in the order of `genre_vector`, by name."""
    n_users: int
    """Users with a training rating: rows of `user_features.parquet`."""
    n_movies: int
    """Movies of the catalogue, rated or not: rows of `movie_features.parquet`."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read `vocabulary.json`.

        Raises:
            DataError: the file is missing or is no vocabulary.
        """
        file = folder / "vocabulary.json"
        try:
            return cls.model_validate_json(file.read_bytes())
        except (OSError, ValidationError) as error:
            raise DataError(
                f"{file} is no readable vocabulary ({error}): run the Transform step again."
            ) from error

    def write(self, folder: Path) -> None:
        """Write `vocabulary.json`."""
        (folder / "vocabulary.json").write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


def movie_genres(movies: ir.Table) -> ir.Table:
    """`movie_id, genre`, one row for each genre of each movie; a genre named twice in a movie counts once."""
    return movies.select(
        movies[Columns.MOVIE_ID], movies[Columns.GENRES].unique().unnest().name(GENRE)
    ).filter(ibis._[GENRE].notnull())


def genre_index(movies: ir.Table) -> ir.Table:
    """`genre, genre_index`: the catalogue's genres by name, counted from 0 (int32)."""
    genres = movie_genres(movies).select(GENRE).distinct()
    return genres.mutate(**{GENRE_INDEX: ibis.row_number().over(order_by=genres[GENRE]).cast("int32")})


def movie_index(movies: ir.Table) -> ir.Table:
    """`movie_id, movie_index`: the catalogue's movies by id, counted from 0 (int32)."""
    position = ibis.row_number().over(order_by=movies[Columns.MOVIE_ID]).cast("int32")
    return movies.select(movies[Columns.MOVIE_ID], position.name(Columns.MOVIE_INDEX))
