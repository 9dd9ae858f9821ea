"""The first look at a Parquet file of one's own: its columns, and whether their types can be used."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from recommender.data.files.delimited_rows import require_names
from recommender.data.files.source_text import read_head, unreadable
from recommender.errors import DataError

_MAGIC: Final = b"PAR1"


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


_HOLDS: Final[Mapping[str, Callable[[pa.DataType], bool]]] = {
    "whole numbers": pa.types.is_integer,
    "numbers": lambda kind: (
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    ),
    "text": _is_text,
    "times": lambda kind: pa.types.is_timestamp(kind) or pa.types.is_date(kind),
    "lists of text": lambda kind: (
        (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and _is_text(kind.value_type)
    ),
}


def is_parquet(path: Path) -> bool:
    """Whether a file begins as Parquet does.

    Raises:
        DataError: it cannot be read or is empty.
    """
    return read_head(path).startswith(_MAGIC)


def parquet_columns(path: Path, required: tuple[str, ...]) -> dict[str, pa.DataType]:
    """The columns of a Parquet file and their types.

    Raises:
        DataError: it cannot be read, or lacks a column.
    """
    try:
        schema = pq.read_schema(path)
    except pa.ArrowException as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}. Write or copy it again.") from error
    except OSError as error:
        raise unreadable(path, error) from error
    require_names(str(path), tuple(schema.names), required)
    return dict(zip(schema.names, schema.types, strict=True))


def require_type(path: Path, column: str, kind: pa.DataType, kinds: Sequence[str]) -> None:
    """Refuse a column of another type.

    Args:
        path: The file.
        column: Name of the column.
        kind: Its type.
        kinds: What it may hold: `whole numbers`, `numbers`, `text`, `times`, `lists of text`.

    Raises:
        DataError: names the file, the column, its type and what it may hold.
    """
    stored = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not any(_HOLDS[name](stored) for name in kinds):
        raise DataError(
            f"{path}: column {column!r} has the type {kind}, but should hold {' or '.join(kinds)}. "
            "Name another column, or convert it."
        )
