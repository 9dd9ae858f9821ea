"""The embedded table engine and the canonical tables that it reads."""

from pathlib import Path
from typing import Literal

import duckdb
import ibis
from ibis.backends.duckdb import Backend
from ibis.expr import types as ir
from pydantic import Field

from recommender.configuration import Configuration
from recommender.errors import DataError

RATINGS_FILE = "ratings.parquet"
MOVIES_FILE = "movies.parquet"


class EngineConfig(Configuration):
    """What computes tables. The results do not depend on it."""

    kind: Literal["duckdb", "spark"] = "duckdb"
    """`duckdb` runs inside the step, `spark` where one machine is not enough."""
    memory_limit: str = Field(default="2GB", pattern=r"^[1-9]\d*(MB|GB|MiB|GiB)$")
    """What `duckdb` may hold in memory; beyond it, it goes on on disk."""
    threads: int | None = Field(default=None, ge=1)
    """Of `duckdb`; without it, one for each core."""
    spark_master: str = "local[*]"
    """Where `spark` runs, such as `local[2]`, `spark://host:7077` or `k8s://https://host`."""


def open_engine(config: EngineConfig | None = None, *, scratch: Path | None = None) -> Backend:
    """A fresh engine; `disconnect` ends it.

    Args:
        config: Which one, and what it may use.
        scratch: Folder for what does not fit in memory.
    """
    config = config or EngineConfig()
    settings: dict[str, str | int] = {"memory_limit": config.memory_limit}
    if config.threads is not None:
        settings["threads"] = config.threads
    return ibis.duckdb.connect(temp_directory=None if scratch is None else str(scratch), **settings)


def ratings_table(engine: Backend, examples: Path) -> ir.Table:
    """The ratings of a folder of examples.

    Raises:
        DataError: the file is missing or is not Parquet.
    """
    return _table(engine, examples / RATINGS_FILE)


def movies_table(engine: Backend, examples: Path) -> ir.Table:
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


def _table(engine: Backend, file: Path) -> ir.Table:
    if not file.is_file():
        raise DataError(f"{file} is missing: run ExampleGen first, or name the folder that it wrote.")
    try:
        return engine.read_parquet(str(file))
    except duckdb.Error as error:
        raise DataError(f"{file} cannot be read as Parquet: {error}. Run ExampleGen again.") from error
