"""Reading files of ratings, whatever their layout, into one typed table each."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import duckdb
import ibis
from ibis.backends.sql import SQLBackend
from ibis.expr import types as ir

from recommender.configuration import Configuration
from recommender.data.columns import Columns
from recommender.data.engine import open_engine, read_table, stored
from recommender.data.files.delimited_rows import DelimitedFile, DelimitedLayout, open_delimited, wrong_number
from recommender.data.files.parquet_files import is_parquet, parquet_columns, require_type
from recommender.data.files.rating_values import TimestampUnit, canonical_values, misfits
from recommender.data.files.raw_ratings import parquet_fields, text_fields, write_numbered_fields
from recommender.data.files.row_problems import UnreadableRows
from recommender.data.files.source_text import SourceText, scan_text
from recommender.errors import DataError

_logger = logging.getLogger(__name__)

_FIRST_LINE: Final = "first_line"
_LONGEST_REASON: Final = 300
_EXACT_FLOAT64: Final = 2**53
_MILLISECONDS: Final = 10**12
"""In seconds, the year 33,658; in milliseconds, 2001."""
_SPRING_OF_1970: Final = 10**7
"""In seconds. Seconds that are taken for milliseconds, and these for microseconds, all end before."""


class RatingsColumns(Configuration):
    """What a file calls the columns of ratings. Further columns are ignored."""

    user_id: str = "user_id"
    """Whole numbers from 0 to 2^63-1."""
    movie_id: str = "movie_id"
    """Whole numbers from 0 to 2^63-1."""
    rating: str = "rating"
    """Numbers on any scale."""
    timestamp: str | None = None
    """When the rating was given. Without this, `timestamp` if there is such a column."""


@dataclass(frozen=True)
class RatingsLayout:
    """How a file of ratings is laid out."""

    file_name: str
    columns: RatingsColumns = field(default_factory=RatingsColumns)
    delimiter: str | None = None
    """None to find it in the header."""
    has_header: bool = True
    """Without one, user, movie, rating and timestamp stand in every line, in this order."""
    quoted: bool = True
    """Whether fields may stand in double quotes."""
    timestamp_unit: TimestampUnit = "s"

    def required(self) -> tuple[str, ...]:
        """The columns that a file must have."""
        columns = self.columns
        named = (columns.user_id, columns.movie_id, columns.rating, columns.timestamp)
        return tuple(name for name in named if name is not None)

    def found(self, names: tuple[str, ...]) -> dict[str, str]:
        """The canonical columns that a file with these columns has, and what they are called there."""
        timestamp = self.columns.timestamp or Columns.TIMESTAMP
        called = {
            Columns.USER_ID: self.columns.user_id,
            Columns.MOVIE_ID: self.columns.movie_id,
            Columns.RATING: self.columns.rating,
        }
        return {**called, **({Columns.TIMESTAMP: timestamp} if timestamp in names else {})}


@dataclass(frozen=True)
class RatingsFile:
    """One file of ratings to read."""

    path: Path
    layout: RatingsLayout
    source_file: int
    """Its position in the report."""
    part: str | None = None
    """Of the split, where the files say."""


@dataclass(frozen=True)
class StagedRatings:
    """A file of ratings that was read."""

    path: Path
    """Of a typed table, as `engine.stored` keeps it."""
    n_ratings: int
    n_unreadable: int
    has_timestamps: bool


def stage_ratings(
    engine: SQLBackend, file: RatingsFile, unreadable: UnreadableRows, scratch: Path
) -> StagedRatings:
    """Read one file of ratings into a table with canonical columns.

    The engine reads in parallel, but does not tell which row stood where. So this counts only if every line
    proves to be one good row. Otherwise the file is read once more, slowly, to say which lines are which.

    Args:
        engine: What computes.
        file: What to read.
        unreadable: What becomes of rows that cannot be read.
        scratch: Folder for the table and for what is on the way.

    Raises:
        DataError: the file cannot be read, has other columns, or rows that cannot be read.
    """
    staged = scratch / f"ratings-{file.source_file:05d}"
    if is_parquet(file.path):
        text, fields = None, _fields_of_parquet(file)
    else:
        text, fields = _fields_of_text(file)
    result, scanned = _staged_at_once(engine, file, text, fields, staged)
    if result is None:
        _logger.info("%s: not every line is one good row, so each is looked at", file.path.name)
        result = _staged_by_row(engine, file, text, fields, unreadable, staged, scanned)
    if file.layout.timestamp_unit != "iso" and result.has_timestamps:
        _refuse_another_unit(engine, file, result)
    return result


def staged_ratings(engine: SQLBackend, staged: Sequence[StagedRatings]) -> ir.Table:
    """All ratings that were read, with canonical columns, `source_file`, `source_line` and any `part`.

    On Spark `source_line` is missing in files that did not have to be read row by row.
    """
    if engine.name != "duckdb":
        tables = [read_table(engine, read.path) for read in staged]
        return (tables[0].union(*tables[1:]) if len(tables) > 1 else tables[0]).drop(_FIRST_LINE)
    ratings = engine.read_parquet(
        [str(read.path) for read in staged], file_row_number=True, hive_partitioning=False
    )
    line = ibis.coalesce(ratings[Columns.SOURCE_LINE], ratings[_FIRST_LINE] + ratings["file_row_number"])
    return ratings.mutate(**{Columns.SOURCE_LINE: line}).drop(_FIRST_LINE, "file_row_number")


def _fields_of_text(file: RatingsFile) -> tuple[DelimitedFile, dict[str, str]]:
    """The file, looked at, and what it calls the canonical columns."""
    layout = file.layout
    required = layout.required() if layout.has_header else Columns.RATINGS
    text = open_delimited(
        file.path, DelimitedLayout(layout.delimiter, required, layout.has_header, layout.quoted)
    )
    return text, layout.found(text.columns) if layout.has_header else {name: name for name in Columns.RATINGS}


def _fields_of_parquet(file: RatingsFile) -> dict[str, str]:
    """What a file calls the canonical columns, all of which have a type that can be used."""
    types = parquet_columns(file.path, file.layout.required())
    fields = file.layout.found(tuple(types))
    for name, called in fields.items():
        kinds = ("numbers", "text", "times") if name == Columns.TIMESTAMP else ("numbers", "text")
        require_type(file.path, called, types[called], kinds)
    return fields


def _staged_at_once(
    engine: SQLBackend, file: RatingsFile, text: DelimitedFile | None, fields: dict[str, str], staged: Path
) -> tuple[StagedRatings | None, SourceText | None]:
    """Stage a file at full speed.

    Returns:
        The ratings, or None where these would not be the whole truth. And what is known of a text file in
        which each line proved to be one row, whatever is in it.
    """
    failures = (duckdb.Error,) if engine.name == "duckdb" else _spark_failures()
    scanned = None
    try:
        if text is None:
            raw = parquet_fields(engine, file.path, fields)
        else:
            scanned = scan_text(file.path)
            read = _staged_as_numbers(engine, file, text, fields, scanned, staged)
            if read is not None:
                return read, scanned
            raw = text_fields(engine, text, fields, scanned)
        typed = stored(engine, _typed(raw, file), staged)
        unread = _is_unread(typed, fields)
        counts = engine.execute(typed.aggregate(n=typed.count(), unread=unread.sum().fill_null(0))).iloc[0]
    except failures as error:
        _logger.debug("%s: %s", file.path, error)
        return None, None
    n_rows = int(counts["n"])
    if text is not None and scanned is not None and scanned.n_lines != n_rows + text.has_header:
        return None, None
    if int(counts["unread"]):
        return None, scanned
    return StagedRatings(staged, n_rows, 0, Columns.TIMESTAMP in fields), scanned


def _staged_as_numbers(
    engine: SQLBackend,
    file: RatingsFile,
    text: DelimitedFile,
    fields: dict[str, str],
    scanned: SourceText,
    staged: Path,
) -> StagedRatings | None:
    """Stage a text file of nothing but numbers that float64 holds exactly; None where it is not one."""
    if engine.name != "duckdb" or scanned.has_underscore or file.layout.timestamp_unit == "iso":
        return None
    path = staged.with_suffix(".numbers")
    try:
        raw = text_fields(engine, text, fields, scanned, as_numbers=True)
        typed = stored(engine, _typed(raw, file), path)
        whole = [typed[name].abs().max() for name in fields if name != Columns.RATING]
        totals = typed.aggregate(
            n=typed.count(),
            unread=_is_unread(typed, fields).sum().fill_null(0),
            largest=ibis.greatest(*whole).fill_null(0),
        )
        counts = engine.execute(totals).iloc[0]
    except duckdb.Error as error:
        _logger.debug("%s: %s", file.path, error)
        return None
    is_whole_file = scanned.n_lines == counts["n"] + text.has_header
    if not is_whole_file or counts["unread"] or counts["largest"] >= _EXACT_FLOAT64:
        return None
    return StagedRatings(path, int(counts["n"]), 0, Columns.TIMESTAMP in fields)


def _spark_failures() -> tuple[type[Exception], ...]:
    from pyspark.errors import PySparkException

    return (PySparkException,)


def _staged_by_row(
    engine: SQLBackend,
    file: RatingsFile,
    text: DelimitedFile | None,
    fields: dict[str, str],
    unreadable: UnreadableRows,
    staged: Path,
    scanned: SourceText | None,
) -> StagedRatings:
    """Stage the good rows of a file, each with its line; the others are settled. DuckDB does it."""
    lines = staged.with_suffix(".lines")
    try:
        with _row_engine(engine, staged.parent) as rows:
            if text is None:
                raw, wrong_line = parquet_fields(rows, file.path, fields, numbered=True), ""
            elif scanned is not None and rows is engine:
                raw, wrong_line = text_fields(rows, text, fields, scanned, numbered=True), ""
            else:
                write_numbered_fields(text, fields, lines)
                raw = read_table(rows, lines)
                wrong_line = wrong_number("{}", text)
            problems = staged.with_suffix(".problems")
            found = misfits(raw, file.layout.timestamp_unit, fields, file.source_file, wrong_line)
            found.to_parquet(problems)
            n_rows = int(rows.execute(raw.count()))
            n_unreadable = unreadable.settle(
                file.path, file.source_file, problems, n_rows, called="row" if text is None else "line"
            )
            typed = _typed(raw, file)
            by_row = staged.with_suffix(".rows")
            stored(rows, typed.filter(~_is_unread(typed, fields)), by_row)
    except duckdb.Error as error:
        if text is not None:
            # Only what lies on the way is read here: it is the disc or the memory.
            raise
        # The engine quotes the line it stumbled over, however long that is.
        reason = str(error).partition("\n")[0][:_LONGEST_REASON]
        raise DataError(f"{file.path} cannot be read: {reason}") from error
    lines.unlink(missing_ok=True)
    return StagedRatings(by_row, n_rows - n_unreadable, n_unreadable, Columns.TIMESTAMP in fields)


@contextmanager
def _row_engine(engine: SQLBackend, scratch: Path) -> Iterator[SQLBackend]:
    """An engine that numbers rows."""
    if engine.name == "duckdb":
        yield engine
        return
    rows = open_engine(scratch=scratch)
    try:
        yield rows
    finally:
        rows.disconnect()


def _typed(raw: ir.Table, file: RatingsFile) -> ir.Table:
    """Fields as canonical values, beside where they come from."""
    has_lines = Columns.SOURCE_LINE in raw.columns
    return raw.select(
        **canonical_values(raw, file.layout.timestamp_unit),
        **{
            Columns.SOURCE_FILE: ibis.literal(file.source_file).cast("int16"),
            Columns.SOURCE_LINE: raw[Columns.SOURCE_LINE] if has_lines else ibis.null("int64"),
            _FIRST_LINE: ibis.literal(1 + (file.layout.has_header and not is_parquet(file.path))).cast(
                "int64"
            ),
        },
        **({Columns.PART: ibis.literal(file.part)} if file.part else {}),
    )


def _is_unread(typed: ir.Table, fields: Iterable[str]) -> ir.BooleanColumn:
    return ibis.or_(*(typed[name].isnull() for name in fields))


def _refuse_another_unit(engine: SQLBackend, file: RatingsFile, read: StagedRatings) -> None:
    """Refuse times most of which are only plausible in another unit than the one that is set."""
    unit = file.layout.timestamp_unit
    time = read_table(engine, read.path)[Columns.TIMESTAMP]
    implausible = time >= _MILLISECONDS if unit == "s" else time.between(1, _SPRING_OF_1970)
    counts = engine.execute(
        time.as_table().aggregate(n=implausible.sum().fill_null(0), latest=time.max())
    ).iloc[0]
    if 2 * int(counts["n"]) <= read.n_ratings:
        return
    latest = int(counts["latest"])
    if unit == "s":
        other = "us" if latest >= 1000 * _MILLISECONDS else "ms"
        told = f"as large as {latest}, which in seconds is tens of thousands of years ahead"
    else:
        other = "ms" if unit == "us" and latest >= _SPRING_OF_1970 // 1000 else "s"
        told = f"from the first months of 1970 if they are in {unit}"
    raise DataError(
        f"{file.path}: most timestamps are {told}. Set example_gen.ratings.timestamp_unit to {other}."
    )
