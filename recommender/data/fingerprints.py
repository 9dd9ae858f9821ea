"""A hash of what a table holds, not of how a file stores it."""

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq


def table_fingerprint(path: Path, columns: Sequence[str] | None = None) -> str:
    """The sha256 of the content of a Parquet file: names, types and values, in the order of its rows.

    The same content gives the same fingerprint whatever wrote the file: compression, row groups and the
    version of the engine do not matter.

    Args:
        path: The file.
        columns: Which columns count; all of them without this.
    """
    with pq.ParquetFile(path) as file:
        fields = [file.schema_arrow.field(name) for name in columns or file.schema_arrow.names]
    # Reading and hashing leave the interpreter to others, so columns go side by side.
    with ThreadPoolExecutor() as threads:
        digests = list(threads.map(partial(_column_digest, path), fields))
    return hashlib.sha256(b"".join(digests)).hexdigest()


def _column_digest(path: Path, field: pa.Field) -> bytes:
    column_hash = _ColumnHash(field)
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=[field.name]):
            column_hash.update(batch.column(0))
    return column_hash.digest()


class _ColumnHash:
    """The hash of a column, the same however its rows are cut into batches."""

    def __init__(self, field: pa.Field) -> None:
        self._values = hashlib.sha256(f"{field.name}:{_kind(field.type)}".encode())
        self._presence = hashlib.sha256()
        self._has_missing = False

    def update(self, column: pa.Array) -> None:
        if not pa.types.is_primitive(column.type):
            for value in column.to_pylist():
                self._values.update(json.dumps(value, ensure_ascii=False).encode() + b"\n")
            return
        self._presence.update(column.is_valid().to_numpy(zero_copy_only=False))
        if column.null_count:
            self._has_missing = True
            column = pc.fill_null(column, pa.scalar(0, column.type))
        self._values.update(column.to_numpy(zero_copy_only=False))

    def digest(self) -> bytes:
        if self._has_missing:
            self._values.update(self._presence.digest())
        return self._values.digest()


def _kind(kind: pa.DataType) -> str:
    # A list's element is called "element" by one writer and "item" by another.
    return f"list<{kind.value_type}>" if pa.types.is_list(kind) else str(kind)
