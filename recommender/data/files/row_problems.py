"""Rows of a source file that cannot be read: told in one error, or put aside and counted."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from recommender.counted import counted
from recommender.data.columns import Columns
from recommender.errors import DataError

_logger = logging.getLogger(__name__)

_SHOWN: Final = 5
_VALUE_LENGTH: Final = 60

PROBLEMS_SCHEMA: Final = pa.schema(
    [
        (Columns.SOURCE_FILE, pa.int16()),
        (Columns.SOURCE_LINE, pa.int64()),
        ("field", pa.string()),
        ("value", pa.string()),
        ("problem", pa.string()),
    ]
)
"""The columns of a table of rows that cannot be read."""

RowName = Literal["line", "row"]


@dataclass(frozen=True)
class RowProblem:
    """One row that cannot be read: which field, what stands there, what is wrong with it."""

    line: int
    field: str
    value: str
    problem: str

    def __str__(self) -> str:
        value = self.value if len(self.value) <= _VALUE_LENGTH else self.value[:_VALUE_LENGTH] + "…"
        return f"{self.line}, {self.field}: {value!r} {self.problem}"


@dataclass(frozen=True)
class UnreadableRows:
    """What becomes of rows that cannot be read."""

    folder: Path | None = None
    """Gets a table of them for each file that has any; without it they are an error."""

    def settle(
        self, path: Path, source_file: int, problems: Path, n_rows: int, *, called: RowName = "line"
    ) -> int:
        """Put the unreadable rows of a file aside, or refuse the file.

        Args:
            path: The file.
            source_file: Its position in the report.
            problems: A Parquet file with the columns of `PROBLEMS_SCHEMA`, which is taken away.
            n_rows: How many rows the file has, the unreadable included.
            called: What a row of the file is.

        Returns:
            How many rows cannot be read.

        Raises:
            DataError: there are some that may not be put aside, or more than half of all.
        """
        with pq.ParquetFile(problems) as table:
            count = int(table.metadata.num_rows)
            first = next(table.iter_batches(_SHOWN), None)
        if not count:
            problems.unlink()
            return 0
        if self.folder is None or 2 * count > n_rows:
            shown = [] if first is None else first.to_pylist()
            raise _error(
                path,
                [
                    RowProblem(row[Columns.SOURCE_LINE], row["field"], row["value"], row["problem"])
                    for row in shown
                ],
                count,
                called,
            )
        problems.replace(self.folder / f"{source_file:05d}.parquet")
        _logger.warning("%s: %d of %d rows cannot be read and are left out", path.name, count, n_rows)
        return count

    def settle_few(
        self,
        path: Path,
        source_file: int,
        problems: Sequence[RowProblem],
        n_rows: int,
        *,
        called: RowName = "line",
    ) -> None:
        """As `settle`, for problems that are at hand.

        Raises:
            DataError: as `settle`.
        """
        if not problems:
            return
        if self.folder is None:
            raise _error(path, problems[:_SHOWN], len(problems), called)
        rows = [
            {
                Columns.SOURCE_FILE: source_file,
                Columns.SOURCE_LINE: problem.line,
                "field": problem.field,
                "value": problem.value,
                "problem": problem.problem,
            }
            for problem in problems
        ]
        table = self.folder / "unsettled"
        pq.write_table(pa.Table.from_pylist(rows, PROBLEMS_SCHEMA), table)
        self.settle(path, source_file, table, n_rows, called=called)


REFUSED: Final = UnreadableRows()
"""Rows that cannot be read are an error."""


def _error(path: Path, shown: Sequence[RowProblem], count: int, called: RowName) -> DataError:
    told = "".join(f"\n  {called} {problem}" for problem in shown)
    more = f"\n  and {count - len(shown):,} more" if count > len(shown) else ""
    return DataError(
        f"{path}: {counted(count, called)} cannot be used.{told}{more}\n"
        "Mend or remove what is named here, or fetch the file again if it was cut short."
    )
