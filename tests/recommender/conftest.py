"""Small folders of examples, as ExampleGen writes them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

RATINGS = pa.schema(
    [
        ("user_id", pa.int64()),
        ("movie_id", pa.int64()),
        ("rating", pa.float32()),
        ("timestamp", pa.int64()),
    ]
)
MOVIES = pa.schema(
    [
        ("movie_id", pa.int64()),
        ("title", pa.string()),
        ("genres", pa.list_(pa.string())),
        ("release_year", pa.int32()),
        ("imdb_id", pa.string()),
        ("tmdb_id", pa.int64()),
    ]
)

WriteExamples = Callable[[Path, Sequence[tuple[Any, ...]], Sequence[tuple[Any, ...]]], Path]


def _table(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )


@pytest.fixture(scope="session")
def ratings_arrow() -> Callable[[Sequence[tuple[Any, ...]]], pa.Table]:
    """Rows of `user_id, movie_id, rating, timestamp` as an Arrow table."""
    return lambda rows: _table(rows, RATINGS)


@pytest.fixture(scope="session")
def movies_arrow() -> Callable[[Sequence[tuple[Any, ...]]], pa.Table]:
    """Rows of `movie_id, genres, release_year` as an Arrow table of canonical movies."""
    return lambda rows: _table(
        [(movie, f"Movie {movie}", genres, year, None, None) for movie, genres, year in rows], MOVIES
    )


@pytest.fixture(scope="session")
def write_examples(ratings_arrow: Any, movies_arrow: Any) -> WriteExamples:
    """Write `ratings.parquet` and `movies.parquet` into a folder."""

    def write(folder: Path, ratings: Sequence[tuple[Any, ...]], movies: Sequence[tuple[Any, ...]]) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(ratings_arrow(ratings), folder / "ratings.parquet")
        pq.write_table(movies_arrow(movies), folder / "movies.parquet")
        return folder

    return write
