"""Reading a file of movies, whatever its layout, into one canonical row a movie."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from recommender.data.columns import Columns
from recommender.data.delimited_rows import DelimitedLayout, FieldError, Row, read_rows, whole_number
from recommender.data.links_file import Links
from recommender.data.row_problems import RowProblem, RowProblems
from recommender.errors import DataError

MOVIES_SCHEMA: Final = pa.schema(
    [
        (Columns.MOVIE_ID, pa.int64()),
        (Columns.TITLE, pa.string()),
        (Columns.GENRES, pa.list_(pa.string())),
        (Columns.RELEASE_YEAR, pa.int32()),
        (Columns.IMDB_ID, pa.string()),
        (Columns.TMDB_ID, pa.int64()),
    ]
)
"""The canonical columns of movies."""

_YEAR = re.compile(r"\((\d{4})(?:[-\u2013]\s?\d{0,4})?\)(?:\s*\((?:V|TV)\))?\s*$")


@dataclass(frozen=True)
class MoviesLayout:
    """How a file of movies is laid out, and where in a line its title and genres stand."""

    file_name: str
    fields: DelimitedLayout
    """The first column is the movie's id."""
    title: Callable[[Row], str]
    genres: Callable[[Row], list[str]]


def release_year(title: str) -> int | None:
    """The year in brackets at the end of a title.

    >>> release_year("Toy Story (1995)"), release_year("Babylon 5"), release_year("Show, The (2006-2007)")
    (1995, None, 2006)
    """
    found = _YEAR.search(title)
    return int(found[1]) if found else None


def read_movies(path: Path, layout: MoviesLayout, links: Mapping[int, Links]) -> pa.Table:
    """Read a file of movies into canonical columns, ordered by movie.

    Raises:
        DataError: the file cannot be read, its header is another, or movies in it don't fit or come twice.
    """
    movies: dict[int, dict[str, object]] = {}
    problems = RowProblems(path)
    id_column = layout.fields.columns[0]
    for line, row in read_rows(path, layout.fields, problems):
        try:
            movie_id = whole_number(row, id_column)
            title = layout.title(row).strip()
            if movie_id in movies:
                raise FieldError(id_column, str(movie_id), "comes a second time")
            if not title:
                raise FieldError("title", title, "is missing")
            link = links.get(movie_id, Links())
            movies[movie_id] = {
                Columns.MOVIE_ID: movie_id,
                Columns.TITLE: title,
                Columns.GENRES: layout.genres(row),
                Columns.RELEASE_YEAR: release_year(title),
                Columns.IMDB_ID: link.imdb_id,
                Columns.TMDB_ID: link.tmdb_id,
            }
        except FieldError as error:
            problems.add(RowProblem(line, error.field, error.value, error.wrong))
    problems.raise_if_any()
    if not movies:
        raise DataError(f"{path} holds no movies, only its header or blank lines. Copy or unpack it again.")
    return pa.Table.from_pylist([movies[movie_id] for movie_id in sorted(movies)], schema=MOVIES_SCHEMA)
