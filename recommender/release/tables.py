"""The tables of a release."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recommender.data.columns import Columns
from recommender.errors import ReleaseError
from recommender.release.manifest import PROBLEMS_SHOWN

MOVIES_SCHEMA: Final = pa.schema(
    [
        (Columns.MOVIE_ID, pa.int64()),
        (Columns.TITLE, pa.string()),
        (Columns.GENRES, pa.list_(pa.string())),
        (Columns.RELEASE_YEAR, pa.int32()),
        (Columns.TAGS, pa.list_(pa.string())),
        ("rating_count", pa.int64()),
        ("rating_mean", pa.float64()),
        (Columns.EMBEDDING, pa.list_(pa.float32())),
    ]
)
"""Columns of `movies.parquet`, sorted by `movie_id`; a file without `tags` is read, too."""
USERS_SCHEMA: Final = pa.schema(
    [
        (Columns.USER_ID, pa.int64()),
        ("rating_count", pa.int64()),
        (Columns.EMBEDDING, pa.list_(pa.float32())),
    ]
)
"""Columns of `users.parquet`, sorted by `user_id`."""
HISTORY_SCHEMA: Final = pa.schema(
    [
        (Columns.USER_ID, pa.int64()),
        (Columns.MOVIE_ID, pa.int64()),
        (Columns.RATING, pa.float32()),
        (Columns.TIMESTAMP, pa.int64()),
    ]
)
"""Columns of `history.parquet`, sorted by `user_id`, then `timestamp`."""
_REMEDY: Final = "Write the release again with the pipeline."


def column_names(path: Path) -> list[str]:
    """What the columns of a table are called.

    Raises:
        ReleaseError: the file cannot be read as a table.
    """
    try:
        names: list[str] = pq.read_schema(path).names
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ReleaseError(f"{path} cannot be read as a table: {error}. {_REMEDY}") from error
    return names


def read_columns(path: Path, schema: pa.Schema, columns: Sequence[str]) -> pa.Table:
    """Some columns of a table, of the types that the schema says.

    Raises:
        ReleaseError: the file cannot be read as such a table.
    """
    wanted = pa.schema([schema.field(column) for column in columns])
    try:
        return pq.read_table(path, columns=list(columns)).select(columns).cast(wanted)
    except (pa.ArrowException, KeyError, OSError, ValueError) as error:
        raise ReleaseError(f"{path} cannot be read as {', '.join(columns)}: {error}. {_REMEDY}") from error


def numbers(table: pa.Table, column: str, path: Path) -> NDArray[Any]:
    """A column of a table read from `path`.

    Raises:
        ReleaseError: a value is missing.
    """
    values = table[column]
    if values.null_count:
        raise ReleaseError(f"{path} lacks {values.null_count} values of {column}. {_REMEDY}")
    found: NDArray[Any] = values.to_numpy()
    return found


def read_ids(path: Path, schema: pa.Schema, column: str) -> NDArray[np.int64]:
    """The ids of a table that is sorted by them.

    Raises:
        ReleaseError: the file cannot be read, is not sorted, or names an id twice.
    """
    ids = numbers(read_columns(path, schema, [column]), column, path)
    if np.any(np.diff(ids) <= 0):
        row = int(np.flatnonzero(np.diff(ids) <= 0)[0]) + 1
        raise ReleaseError(f"{path} is not sorted by id, or names {ids[row]} twice (row {row}). {_REMEDY}")
    return ids


def read_vectors(path: Path, schema: pa.Schema) -> NDArray[np.float32]:
    """The vectors of a table, float32 [rows, dimension].

    Raises:
        ReleaseError: the file cannot be read, or has vectors of several lengths, or not finite ones.
    """
    column = read_columns(path, schema, [Columns.EMBEDDING])[Columns.EMBEDDING].combine_chunks()
    lengths = np.unique(pc.fill_null(column.value_lengths(), 0).to_numpy(zero_copy_only=False))
    if len(lengths) > 1:
        raise ReleaseError(
            f"{path} has vectors of several lengths, {lengths[:PROBLEMS_SHOWN].tolist()}. {_REMEDY}"
        )
    flat = column.flatten().to_numpy(zero_copy_only=False)
    vectors: NDArray[np.float32] = np.ascontiguousarray(flat, np.float32).reshape(len(column), lengths.sum())
    odd = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(odd):
        raise ReleaseError(
            f"{path} has {len(odd)} vectors that are not finite, the first in row {odd[0]}. Train again."
        )
    return vectors
