"""Keeping bad ratings out of a run: which stay, which go, and why."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.backends.sql import SQLBackend
from ibis.expr import types as ir

from recommender.data.canonical import unique_ratings
from recommender.data.checks.cross_checks import DUPLICATE_RATING, UNKNOWN_MOVIE
from recommender.data.checks.row_checks import RowCheck
from recommender.data.columns import Columns
from recommender.data.engine import stored, write_parquet
from recommender.data.schema import PROVENANCE

QUARANTINE_FILE: Final = "quarantine.parquet"
UNREADABLE: Final = "unreadable"

_REASONS: Final = "reasons"
_READING: Final = ("field", "value", "problem")


@dataclass(frozen=True)
class SortedOut:
    """Ratings, each of them either accepted or rejected."""

    accepted: ir.Table
    """In the columns that they came in."""
    rejected: ir.Table | None
    """The same columns and `reasons`, a list of text; None if there are none."""


def sort_out(
    engine: SQLBackend,
    ratings: ir.Table,
    checks: Sequence[RowCheck],
    unknown: ir.Table | None,
    repeating: ir.Table | None,
    scratch: Path,
) -> SortedOut:
    """Tell the ratings that can be used from those that cannot.

    Of several ratings of one movie by one user, among those that nothing else speaks against, the last by
    time is accepted.

    Args:
        engine: What computes.
        ratings: Canonical ratings.
        checks: Those checks of `ratings` that some rating fails.
        unknown: As `unknown_movies` finds them.
        repeating: As `repeating_users` finds them.
        scratch: Folder for what is on the way, which has to stay as long as the tables are in use.
    """
    columns = ratings.columns
    nothing = ibis.null("string")
    judged = ratings.mutate(
        **{
            f"_reason_{position}": check.fails.fill_null(False).ifelse(check.reason, nothing)
            for position, check in enumerate(checks)
        }
    )
    if unknown is not None:
        unknown = unknown.mutate(_reason_unknown=ibis.literal(UNKNOWN_MOVIE))
        judged = judged.left_join(unknown, Columns.MOVIE_ID).drop(f"{Columns.MOVIE_ID}_right")
    reasons = [judged[name] for name in judged.columns if name not in columns]
    accepted, rejected = ratings, []
    if reasons:
        is_bad = ibis.or_(*(reason.notnull() for reason in reasons))
        accepted = judged.filter(~is_bad).select(*columns)
        found = ibis.array(reasons).filter(lambda reason: reason.notnull())
        rejected.append(judged.filter(is_bad).select(*columns, found.name(_REASONS)))
    if repeating is not None:
        # Few users as a rule: the others need not be sorted by pairs. Kept, because they are read many times.
        suspects = stored(engine, accepted.semi_join(repeating, Columns.USER_ID), scratch / "suspects")
        unique = unique_ratings(engine, _with_provenance(suspects))
        others = accepted.anti_join(repeating, Columns.USER_ID)
        accepted = others.union(unique.ratings.select(*columns))
        if unique.repeated is not None:
            rejected.append(unique.repeated.select(*columns, ibis.array([DUPLICATE_RATING]).name(_REASONS)))
    return SortedOut(accepted, ibis.union(*rejected) if rejected else None)


def write_quarantine(
    engine: SQLBackend,
    rejected: ir.Table | None,
    unreadable: ir.Table | None,
    files: Sequence[str],
    file: Path,
) -> Counter[str]:
    """Write `quarantine.parquet`: reasons, file, line and values of every row that is kept out.

    Args:
        engine: What computes.
        rejected: Ratings and their `reasons`.
        unreadable: Rows that ExampleGen could not read: `source_file`, `source_line`, `field`, `value`,
            `problem`.
        files: Names for the numbers in `source_file`.
        file: Where to write.

    Returns:
        How many rows have each reason; under the empty text, how many rows there are.
    """
    values = {name: "float32" if name == Columns.RATING else "int64" for name in Columns.RATINGS}
    parts = []
    if rejected is not None:
        texts = {name: ibis.null("string") for name in _READING}
        parts.append(_with_provenance(rejected).mutate(**texts))
    if unreadable is not None:
        missing = {name: ibis.null(kind) for name, kind in values.items()}
        parts.append(unreadable.mutate(**missing, **{_REASONS: ibis.array([UNREADABLE])}))
    wanted = (_REASONS, *PROVENANCE, *values, *_READING)
    rows = ibis.union(*(part.select(*wanted) for part in parts))
    names = pa.table(
        {
            Columns.SOURCE_FILE: pa.array(range(len(files)), pa.int16()),
            "file": pa.array(files, pa.string()),
        }
    )
    named = rows.left_join(ibis.memtable(names), Columns.SOURCE_FILE)
    shown = named.select(_REASONS, "file", named[Columns.SOURCE_LINE].name("line"), *values, *_READING)
    write_parquet(engine, shown, file, ("file", "line", *values))
    counts: Counter[str] = Counter()
    for batch in pq.ParquetFile(file).iter_batches(columns=[_REASONS]):
        counts[""] += len(batch)
        counts.update(batch.column(0).flatten().to_pylist())
    return counts


def _with_provenance(ratings: ir.Table) -> ir.Table:
    return ratings.mutate(
        **{name: ibis.null(column.type) for name, column in PROVENANCE.items() if name not in ratings.columns}
    )
