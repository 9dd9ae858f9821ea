"""Reading a file of movies, whatever its layout, into one canonical row a movie."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from recommender.data.columns import Columns
from recommender.data.files.delimited_rows import DelimitedLayout, FieldError, read_rows, whole_number
from recommender.data.files.links_file import Links
from recommender.data.files.parquet_files import is_parquet, parquet_columns, require_type
from recommender.data.files.row_problems import REFUSED, RowName, RowProblem, UnreadableRows
from recommender.errors import DataError

MOVIES_SCHEMA: Final = pa.schema(
    [
        (Columns.MOVIE_ID, pa.int64()),
        (Columns.TITLE, pa.string()),
        (Columns.GENRES, pa.list_(pa.string())),
        (Columns.RELEASE_YEAR, pa.int32()),
        (Columns.IMDB_ID, pa.string()),
        (Columns.TMDB_ID, pa.int64()),
        (Columns.TAGS, pa.list_(pa.string())),
    ]
)
"""The canonical columns of movies."""

_NO_TAGS: Final[Mapping[int, list[str]]] = MappingProxyType({})
_YEAR = re.compile(r"\((\d{4})(?:[-\u2013]\s?\d{0,4})?\)(?:\s*\((?:V|TV)\))?\s*$")


def release_year(title: str) -> int | None:
    """The year in brackets at the end of a title.

    >>> release_year("Toy Story (1995)"), release_year("Babylon 5"), release_year("Show, The (2006-2007)")
    (1995, None, 2006)
    """
    found = _YEAR.search(title)
    return int(found[1]) if found else None


def _no_tags(_row: Mapping[str, Any]) -> list[str]:
    return []


def _year_in_title(_row: Mapping[str, Any], title: str) -> int | None:
    return release_year(title)


@dataclass(frozen=True)
class MoviesLayout:
    """How a file of movies is laid out, and where in a row its title, genres, year and tags stand."""

    file_name: str
    fields: DelimitedLayout
    """Its first column is the movie's id."""
    title: Callable[[Mapping[str, Any]], str]
    genres: Callable[[Mapping[str, Any]], list[str]]
    year: Callable[[Mapping[str, Any], str], int | None] = _year_in_title
    """From a row and the title in it."""
    tags: Callable[[Mapping[str, Any]], list[str]] = _no_tags
    kinds: Mapping[str, tuple[str, ...]] | None = None
    """What each column of a Parquet file that is read may hold; None where only text is read."""


def read_movies(
    path: Path,
    layout: MoviesLayout,
    links: Mapping[int, Links],
    tags: Mapping[int, list[str]] = _NO_TAGS,
    unreadable: UnreadableRows = REFUSED,
    source_file: int = 0,
) -> pa.Table:
    """Read a file of movies into canonical columns, ordered by movie.

    Args:
        path: The file.
        layout: How it is laid out.
        links: Where else movies are known.
        tags: What movies are called, beside what the file says.
        unreadable: What becomes of rows that cannot be read; a movie that comes again is one.
        source_file: Position of the file in the report.

    Raises:
        DataError: the file cannot be read, its header is another, or rows in it cannot be read.
    """
    movies: dict[int, tuple[str, list[str], int | None, list[str]]] = {}
    problems: list[RowProblem] = []
    id_column = layout.fields.columns[0]
    for line, row in _rows(path, layout, problems):
        try:
            movie_id = whole_number(row, id_column)
            title = layout.title(row).strip()
            if movie_id in movies:
                raise FieldError(id_column, str(movie_id), "comes a second time")
            if not title:
                raise FieldError("title", title, "is missing")
            own = layout.genres(row), layout.year(row, title), layout.tags(row) or tags.get(movie_id, [])
            movies[movie_id] = (title, *own)
        except FieldError as error:
            problems.append(RowProblem(line, error.field, error.value, error.wrong))
    problems.sort(key=lambda problem: problem.line)
    called: RowName = "row" if is_parquet(path) else "line"
    unreadable.settle_few(path, source_file, problems, len(movies) + len(problems), called=called)
    if not movies:
        raise DataError(f"{path} holds no movies, only its header or blank lines. Copy or unpack it again.")
    ids = sorted(movies)
    titles, genres, years, called_in_words = zip(*(movies[movie_id] for movie_id in ids), strict=True)
    known = [links.get(movie_id, Links()) for movie_id in ids]
    numbers = [link.imdb_id for link in known], [link.tmdb_id for link in known]
    columns = (ids, titles, genres, years, *numbers, called_in_words)
    return pa.table(
        [pa.array(column, kind) for column, kind in zip(columns, MOVIES_SCHEMA.types, strict=True)],
        schema=MOVIES_SCHEMA,
    )


def _rows(
    path: Path, layout: MoviesLayout, problems: list[RowProblem]
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if layout.kinds is None or not is_parquet(path):
        yield from read_rows(path, layout.fields, problems)
        return
    types = parquet_columns(path, layout.fields.columns)
    read = [name for name in layout.kinds if name in types]
    for name in read:
        require_type(path, name, types[name], layout.kinds[name])
    with pq.ParquetFile(path) as file:
        number = 0
        for batch in file.iter_batches(columns=read):
            for row in batch.to_pylist():
                number += 1
                yield number, {name: _text(value) for name, value in row.items()}


def _text(value: Any) -> Any:
    """A value as it would stand in a text file; a list stays one."""
    if value is None:
        return ""
    return value if isinstance(value, list) else str(value)
