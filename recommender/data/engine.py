"""The embedded table engine and the canonical tables that it reads."""

from pathlib import Path

import duckdb
import ibis
from ibis.backends.duckdb import Backend
from ibis.expr import types as ir

from recommender.errors import DataError

RATINGS_FILE = "ratings.parquet"
MOVIES_FILE = "movies.parquet"


def open_engine(
    *, scratch: Path | None = None, memory_limit: str | None = None, threads: int | None = None
) -> Backend:
    """A fresh in-memory engine.

    Args:
        scratch: Folder for what does not fit in memory.
        memory_limit: Such as `2GB`; without it, the engine takes most of the machine's.
        threads: Without it, one for each core.
    """
    settings: dict[str, str | int] = {}
    if memory_limit is not None:
        settings["memory_limit"] = memory_limit
    if threads is not None:
        settings["threads"] = threads
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
