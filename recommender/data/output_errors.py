"""What is said where an output cannot be written."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb

from recommender.errors import DataError

_LONGEST_REASON: Final = 600


@contextmanager
def told_of_output(output: Path) -> Iterator[None]:
    """Say which folder it was that could not be written to, and what to do.

    Where one stands within another, the inner one speaks.

    Args:
        output: The folder that is written, or beside which it is prepared.

    Raises:
        DataError: the disk is full, the folder may not be written to, or the engine ran out of memory.
    """
    remedy = "Check that the folder may be written to and that there is room, or name another."
    try:
        yield
    except OSError as error:
        place = error.filename or output
        raise DataError(f"{place} cannot be written: {error.strerror or error}. {remedy}") from error
    except duckdb.OperationalError as error:
        # Of the disk or the memory; what DuckDB has against a query is no matter of folders.
        reason = str(error).partition("\n")[0][:_LONGEST_REASON]
        raise DataError(f"The tables for {output} cannot be written: {reason}. {remedy}") from error
