"""Genres and ids, numbered."""

from typing import Final

import ibis
from ibis.expr import types as ir

from recommender.data.columns import Columns
from recommender.document import Document

GENRE: Final = "genre"
GENRE_INDEX: Final = "genre_index"


class Vocabulary(Document):
    """What the positions in the transformed tables stand for."""

    file_name = "vocabulary.json"
    written_by = "Transform"

    genres: tuple[str, ...]
    """Genres of the catalogue in the order of `genre_vector`, by name."""
    n_users: int
    """Users with a training rating: rows of `user_features.parquet`."""
    n_movies: int
    """Movies of the catalogue, rated or not: rows of `movie_features.parquet`."""


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
