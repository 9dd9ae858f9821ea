"""A hash of what a table holds, not of how a file stores it."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def table_fingerprint(path: Path) -> str:
    """The sha256 of the content of a Parquet file: names, types and values, in the order of its rows.

    The same content gives the same fingerprint whatever wrote the file: compression, row groups and the
    version of the engine do not matter.
    """
    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        hashes = [hashlib.sha256(f"{field.name}:{_kind(field.type)}".encode()) for field in schema]
        for batch in file.iter_batches():
            for column, column_hash in zip(batch.columns, hashes, strict=True):
                for piece in _pieces(column):
                    column_hash.update(piece)
    return hashlib.sha256(b"".join(column_hash.digest() for column_hash in hashes)).hexdigest()


def _kind(kind: pa.DataType) -> str:
    # A list's element is called "element" by one writer and "item" by another.
    return f"list<{kind.value_type}>" if pa.types.is_list(kind) else str(kind)


def _pieces(column: pa.Array) -> Iterator[bytes]:
    """Bytes that are the same however the rows are cut into batches."""
    if pa.types.is_primitive(column.type) and column.null_count == 0:
        yield column.to_numpy(zero_copy_only=False).tobytes()
    else:
        for value in column.to_pylist():
            yield json.dumps(value, ensure_ascii=False).encode() + b"\n"
