"""The table engine, DuckDB or Spark behind one interface, and the canonical tables that it reads."""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, Self

import duckdb
import ibis
import pyarrow.parquet as pq
from ibis.backends.sql import SQLBackend
from ibis.expr import types as ir
from pydantic import Field, model_validator

from recommender.configuration import Configuration
from recommender.data.spark_session import connect_spark
from recommender.errors import DataError

RATINGS_FILE = "ratings.parquet"
MOVIES_FILE = "movies.parquet"

_BYTES: Final = {"MB": 10**6, "GB": 10**9, "MiB": 2**20, "GiB": 2**30}
_LEAST_SPARK_BYTES: Final = 512 * 10**6
_COMPRESSION: Final = "snappy"
"""Readable by everything: Spark fails on some pages that others compressed with lz4."""
_OWN_COMPRESSION: Final = "lz4"
"""Of what only DuckDB reads: as small as snappy, and a fifth less work to write and to read."""
_ROW_GROUP_ROWS: Final = 122_880
"""As many as DuckDB puts into one."""


class EngineConfig(Configuration):
    """What computes tables. The results do not depend on it."""

    kind: Literal["duckdb", "spark"] = "duckdb"
    """`duckdb` runs inside the step, `spark` where one machine is not enough."""
    memory_limit: str = Field(default="2GB", pattern=r"^[1-9]\d*(MB|GB|MiB|GiB)$")
    """What the engine may hold in memory; beyond it, it goes on on disk. Of `spark` it is the driver's heap,
    at least 512MB; what workers elsewhere hold is theirs to say."""
    threads: int | None = Field(default=None, ge=1)
    """Of `duckdb`; without it, one for each core."""
    spark_master: str = "local[*]"
    """Where `spark` runs, such as `local[2]`, `spark://host:7077` or `k8s://https://host`. All its machines
    must see the folders of data under the same paths."""

    @property
    def memory_bytes(self) -> int:
        """The limit in bytes."""
        digits = self.memory_limit.rstrip("MGiB")
        return int(digits) * _BYTES[self.memory_limit.removeprefix(digits)]

    @model_validator(mode="after")
    def _spark_has_enough(self) -> Self:
        if self.kind == "spark" and self.memory_bytes < _LEAST_SPARK_BYTES:
            raise ValueError(f"kind=spark needs a memory_limit of 512MB or more, not {self.memory_limit}")
        return self


def open_engine(config: EngineConfig | None = None, *, scratch: Path | None = None) -> SQLBackend:
    """A fresh engine; `disconnect` ends it. One Spark engine can be open in a process at a time.

    Args:
        config: Which one, and what it may use.
        scratch: Folder for what does not fit in memory.

    Raises:
        DataError: Spark is asked for, and pyspark or Java is missing.
    """
    config = config or EngineConfig()
    if config.kind == "spark":
        return connect_spark(config.spark_master, config.memory_bytes, scratch)
    settings: dict[str, str | int] = {"memory_limit": config.memory_limit}
    if config.threads is not None:
        settings["threads"] = config.threads
    engine = ibis.duckdb.connect(temp_directory=None if scratch is None else str(scratch), **settings)
    engine.raw_sql("SET TimeZone = 'UTC'")
    # A step's output is its log: no bars in it. A notebook without ipywidgets has none, and refuses this.
    with suppress(duckdb.InvalidInputException):
        engine.raw_sql("SET enable_progress_bar = false")
    return engine


def ratings_table(engine: SQLBackend, examples: Path) -> ir.Table:
    """The ratings of a folder of examples.

    Raises:
        DataError: the file is missing or is not Parquet.
    """
    return _table(engine, examples / RATINGS_FILE)


def movies_table(engine: SQLBackend, examples: Path) -> ir.Table:
    """The movies of a folder of examples.

    Raises:
        DataError: the file is missing or is not Parquet.
    """
    return _table(engine, examples / MOVIES_FILE)


def require_columns(table: ir.Table, columns: tuple[str, ...], file: Path) -> None:
    """Refuse a table that lacks one of the columns.

    Raises:
        DataError: names the file and the missing columns.
    """
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise DataError(
            f"{file}: no column {', '.join(missing)}. It has {', '.join(table.columns)}. Run ExampleGen."
        )


def read_table(engine: SQLBackend, path: Path) -> ir.Table:
    """A Parquet file, or a folder of them that Spark wrote."""
    if engine.name == "duckdb":
        # A folder above it may be called `part=1`, which is no reason for a further column.
        return engine.read_parquet(str(path), hive_partitioning=False)
    return engine.read_parquet(str(path))


def stored(engine: SQLBackend, rows: ir.Table, path: Path) -> ir.Table:
    """Compute rows once, keep them under a path that is not there yet, and go on from there.

    For what only this engine reads: one Parquet file on DuckDB, a folder of them on Spark, in any order.
    """
    compression = _OWN_COMPRESSION if engine.name == "duckdb" else _COMPRESSION
    rows.to_parquet(str(path), compression=compression)
    return read_table(engine, path)


def write_parquet(engine: SQLBackend, rows: ir.Table, file: Path, sort_by: Sequence[str]) -> ir.Table:
    """Compute rows and write them, sorted, to one Parquet file, the same in content from either engine.

    Memory stays bounded: DuckDB sorts on disk what is too much; Spark's sorted pieces, which lie beside the
    file meanwhile, are put together one after the other.

    Args:
        engine: What computes.
        rows: What to write.
        file: Gets row groups of about 120,000 rows.
        sort_by: Columns that leave no two rows equal, or the order of these is not fixed.

    Returns:
        The rows, read from the file.
    """
    if engine.name == "duckdb":
        rows.order_by(*sort_by).to_parquet(str(file), compression=_COMPRESSION)
        return read_table(engine, file)
    pieces = file.with_name(f"{file.name}.pieces")
    try:
        stored(engine, rows.order_by(*sort_by), pieces)
        _join_pieces(pieces, rows, file)
    finally:
        shutil.rmtree(pieces, ignore_errors=True)
    return read_table(engine, file)


def _join_pieces(pieces: Path, rows: ir.Table, file: Path) -> None:
    schema = rows.schema().to_pyarrow()
    with pq.ParquetWriter(file, schema, compression=_COMPRESSION) as writer:
        # Spark numbers its files in the order of the rows.
        for path in sorted(pieces.glob("part-*.parquet")):
            with pq.ParquetFile(path) as piece:
                for batch in piece.iter_batches(batch_size=_ROW_GROUP_ROWS):
                    writer.write_batch(batch.cast(schema))


def _table(engine: SQLBackend, file: Path) -> ir.Table:
    if not file.is_file():
        raise DataError(f"{file} is missing: run ExampleGen first, or name the folder that it wrote.")
    try:
        pq.read_metadata(file)
        return read_table(engine, file)
    except (duckdb.Error, OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read as Parquet: {error}. Run ExampleGen again.") from error
