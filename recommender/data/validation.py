"""Checks of ratings and movies against a schema: everything that is wrong at once, counted, with examples."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

import ibis
import pandera.ibis as pa
from ibis.expr import types as ir
from jinja2 import Environment, PackageLoader, select_autoescape
from pandera.config import ValidationDepth, config_context
from pandera.errors import SchemaErrorReason, SchemaErrors
from pydantic import BaseModel, ConfigDict

from recommender.data.columns import Columns
from recommender.data.engine import (
    MOVIES_FILE,
    RATINGS_FILE,
    movies_table,
    open_engine,
    ratings_table,
)
from recommender.data.moments import is_usable, points
from recommender.data.rating_scale import RatingScale
from recommender.data.schema import ColumnSchema, Schema
from recommender.document import Document
from recommender.errors import DataError

Severity = Literal["error", "warning"]

_SHOWN_ROWS: Final = 5
_OLDEST: Final = int(datetime(1995, 1, 1, tzinfo=UTC).timestamp())
_OLDEST_FILM: Final = 1870
# Clocks differ; a rating from this afternoon is no broken timestamp.
_TOLERANCE: Final = timedelta(days=1)


class Anomaly(BaseModel):
    """One kind of thing that is wrong with one column."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: str
    """Such as `duplicate_rating`."""
    severity: Severity
    """An error stops the run; a warning does not."""
    table: str
    """Such as `ratings.parquet`."""
    column: str
    count: int
    """Rows that are concerned; for duplicates, pairs or ids that occur more than once."""
    message: str
    rows: tuple[dict[str, Any], ...] = ()
    """The first few of these rows."""
    remedy: str


class Anomalies(Document):
    """Everything that is wrong with a folder of examples."""

    file_name = "anomalies.json"
    written_by = "ExampleValidator"

    anomalies: tuple[Anomaly, ...] = ()

    @property
    def errors(self) -> tuple[Anomaly, ...]:
        """The anomalies that stop a run."""
        return tuple(anomaly for anomaly in self.anomalies if anomaly.severity == "error")

    @property
    def warnings(self) -> tuple[Anomaly, ...]:
        """The anomalies that a run goes on with."""
        return tuple(anomaly for anomaly in self.anomalies if anomaly.severity == "warning")

    def raise_for_errors(self) -> None:
        """Stop if there is an error.

        Raises:
            DataError: lists every error with its count, an example and what to do.
        """
        if not self.errors:
            return
        lines = [f"The examples have {len(self.errors)} kind(s) of error:"]
        for error in self.errors:
            example = f", such as {error.rows[0]}" if error.rows else ""
            lines.append(f"- {error.table}, {error.column}: {error.message}{example}. {error.remedy}")
        raise DataError("\n".join(lines))


def validate_examples(examples: Path, schema: Schema, *, now: datetime | None = None) -> Anomalies:
    """Check ratings and movies against a schema, all inside the table engine.

    Columns and types come first; values are then checked in the columns that have the right type.

    Args:
        examples: Folder with `ratings.parquet` and `movies.parquet`.
        schema: What they must look like.
        now: Ratings more than a day later than this are in the future.

    Raises:
        DataError: a file is missing or is not Parquet.
    """
    engine = open_engine()
    try:
        ratings, movies = ratings_table(engine, examples), movies_table(engine, examples)
        found = [
            *_structure(ratings, schema.ratings, RATINGS_FILE),
            *_structure(movies, schema.movies, MOVIES_FILE),
        ]
        ratings, movies = _usable(ratings, schema.ratings), _usable(movies, schema.movies)
        found += _empty(ratings)
        found += _rows_that_fail(
            ratings, _rating_checks(ratings, schema, now or datetime.now(UTC)), RATINGS_FILE
        )
        found += _rows_that_fail(movies, _movie_checks(movies, schema), MOVIES_FILE)
        found += _between_rows(ratings, movies)
        return Anomalies(anomalies=tuple(found))
    finally:
        engine.disconnect()


def write_anomalies(anomalies: Anomalies, folder: Path) -> None:
    """Write `anomalies.json` and `anomalies.html`."""
    anomalies.write(folder)
    pages = Environment(loader=PackageLoader("recommender.data"), autoescape=select_autoescape(default=True))
    page = pages.get_template("anomalies.html.j2").render(anomalies=anomalies)
    (folder / "anomalies.html").write_text(page, encoding="utf-8")


@dataclass(frozen=True)
class _RowCheck:
    """A check that looks at one row at a time: `fails` is true in bad rows."""

    kind: str
    column: str
    fails: ir.BooleanColumn
    problem: str
    remedy: str
    severity: Severity = "error"


def _structure(table: ir.Table, columns: Mapping[str, ColumnSchema], file: str) -> Iterator[Anomaly]:
    """Missing columns and wrong types by pandera; list types, which it does not know, by comparison."""
    expected = pa.DataFrameSchema(
        {
            name: pa.Column(None if "<" in column.type else ibis.dtype(column.type), required=column.required)
            for name, column in columns.items()
        }
    )
    errors: Sequence[Any] = ()
    try:
        with config_context(validation_depth=ValidationDepth.SCHEMA_ONLY):
            expected.validate(table, lazy=True)
    except SchemaErrors as failure:
        errors = failure.schema_errors
    for error in errors:
        if error.reason_code is SchemaErrorReason.COLUMN_NOT_IN_DATAFRAME:
            name = str(error.failure_cases)
            yield Anomaly(
                kind="missing_column",
                severity="error",
                table=file,
                column=name,
                count=1,
                message=f"there is no such column among {', '.join(table.columns)}",
                remedy="Run ExampleGen again, or correct the schema.",
            )
        else:
            name = error.schema.name
            yield _wrong_type(file, name, columns[name].type, table)
    for name, column in columns.items():
        if "<" in column.type and name in table.columns and not _has_type(table, name, column):
            yield _wrong_type(file, name, column.type, table)
    for name in table.columns:
        if name not in columns:
            yield Anomaly(
                kind="unexpected_column",
                severity="warning",
                table=file,
                column=name,
                count=1,
                message="the schema does not know this column",
                remedy="Add it to the schema, or leave it: nothing reads it.",
            )


def _wrong_type(file: str, name: str, expected: str, table: ir.Table) -> Anomaly:
    return Anomaly(
        kind="wrong_type",
        severity="error",
        table=file,
        column=name,
        count=1,
        message=f"the type is {table.schema()[name]}, not {expected}",
        remedy="Run ExampleGen again, or correct the schema.",
    )


def _has_type(table: ir.Table, name: str, column: ColumnSchema) -> bool:
    return bool(table.schema()[name].copy(nullable=True) == ibis.dtype(column.type))


def _usable(table: ir.Table, columns: Mapping[str, ColumnSchema]) -> ir.Table:
    """The table with only those columns whose values can be looked at."""
    return table.select(
        *(
            name
            for name, column in columns.items()
            if name in table.columns and _has_type(table, name, column)
        )
    )


def _empty(ratings: ir.Table) -> Iterator[Anomaly]:
    if ratings.columns and ratings.count().to_pyarrow().as_py() == 0:
        yield Anomaly(
            kind="no_ratings",
            severity="error",
            table=RATINGS_FILE,
            column=Columns.RATING,
            count=0,
            message="there is not one rating",
            remedy="Check which source ExampleGen read.",
        )


def _rating_checks(ratings: ir.Table, schema: Schema, now: datetime) -> Iterator[_RowCheck]:
    yield from _missing_values(ratings, schema.ratings)
    if Columns.RATING in ratings.columns:
        yield from _scale_checks(ratings[Columns.RATING], schema.rating_scale)
    if Columns.TIMESTAMP in ratings.columns:
        timestamp = ratings[Columns.TIMESTAMP]
        newest = int((now + _TOLERANCE).timestamp())
        yield _RowCheck(
            "timestamp_before_1995",
            Columns.TIMESTAMP,
            timestamp < _OLDEST,
            "ratings from before 1995",
            "Timestamps are Unix seconds: a count of days or a missing value is no timestamp.",
        )
        yield _RowCheck(
            "timestamp_in_future",
            Columns.TIMESTAMP,
            timestamp > newest,
            "ratings from the future",
            "Timestamps are Unix seconds: divide milliseconds by 1000.",
        )
        yield _RowCheck(
            "timestamp_out_of_range",
            Columns.TIMESTAMP,
            timestamp.between(_OLDEST, newest)
            & ~timestamp.between(schema.timestamps.min, schema.timestamps.max),
            f"ratings outside the schema's {schema.timestamps.min} to {schema.timestamps.max}",
            "Expected in newer data: infer the schema again, or widen its `timestamps`.",
            "warning",
        )


def _scale_checks(rating: ir.FloatingColumn, scale: RatingScale) -> Iterator[_RowCheck]:
    yield _RowCheck(
        "not_a_number",
        Columns.RATING,
        rating.notnull() & ~is_usable(rating),
        "ratings that are not finite numbers",
        "Remove these ratings at the source.",
    )
    whole = points(rating)
    low, high = (points(ibis.literal(bound, type="float64")) for bound in (scale.min, scale.max))
    inside = whole.between(low, high)
    yield _RowCheck(
        "rating_out_of_scale",
        Columns.RATING,
        ~inside,
        f"ratings outside {scale.min:g} to {scale.max:g}",
        "Remove or convert these ratings at the source, or widen `rating_scale` in the schema.",
    )
    if scale.step is not None:
        step = points(ibis.literal(scale.step, type="float64"))
        yield _RowCheck(
            "rating_off_step",
            Columns.RATING,
            inside & (((whole - low) % step) != 0),
            f"ratings that are not {scale.min:g} plus multiples of {scale.step:g}",
            "Round these ratings at the source, or change `rating_scale.step` in the schema.",
        )


def _movie_checks(movies: ir.Table, schema: Schema) -> Iterator[_RowCheck]:
    yield from _missing_values(movies, schema.movies)
    if Columns.TITLE in movies.columns:
        yield _RowCheck(
            "empty_title",
            Columns.TITLE,
            movies[Columns.TITLE].strip() == "",
            "movies with an empty title",
            "People will see no name for these movies: fill it in at the source.",
            "warning",
        )
    if Columns.GENRES in movies.columns:
        yield _RowCheck(
            "no_genres",
            Columns.GENRES,
            movies[Columns.GENRES].length() == 0,
            "movies without a genre",
            "Their genre vectors are zero; nothing else suffers.",
            "warning",
        )
    if Columns.RELEASE_YEAR in movies.columns:
        year = movies[Columns.RELEASE_YEAR]
        yield _RowCheck(
            "no_release_year",
            Columns.RELEASE_YEAR,
            year.isnull(),
            "movies without a release year",
            "The movie model fills in the mean year; nothing else suffers.",
            "warning",
        )
        yield _RowCheck(
            "implausible_release_year",
            Columns.RELEASE_YEAR,
            year < _OLDEST_FILM,
            f"movies from before {_OLDEST_FILM}",
            "Correct the year in the title at the source.",
            "warning",
        )


def _missing_values(table: ir.Table, columns: Mapping[str, ColumnSchema]) -> Iterator[_RowCheck]:
    for name in table.columns:
        if not columns[name].nullable:
            yield _RowCheck(
                "missing_value",
                name,
                table[name].isnull(),
                "rows without a value",
                "Fill in or remove these rows at the source.",
            )


def _rows_that_fail(table: ir.Table, checks: Iterator[_RowCheck], file: str) -> Iterator[Anomaly]:
    """Count the bad rows of all checks in one pass, and fetch the first of those that have any."""
    by_name = {f"check_{position}": check for position, check in enumerate(checks)}
    if not by_name:
        return
    counts = table.aggregate(**{name: check.fails.sum() for name, check in by_name.items()}).to_pyarrow()
    for name, check in by_name.items():
        count = counts[name][0].as_py() or 0
        if count:
            yield Anomaly(
                kind=check.kind,
                severity=check.severity,
                table=file,
                column=check.column,
                count=count,
                message=f"{count:,} {check.problem}",
                rows=_first(table.filter(check.fails), table.columns),
                remedy=check.remedy,
            )


def _between_rows(ratings: ir.Table, movies: ir.Table) -> Iterator[Anomaly]:
    """What only shows when rows are compared with one another."""
    if {Columns.USER_ID, Columns.MOVIE_ID} <= set(ratings.columns):
        pairs = ratings.group_by([Columns.USER_ID, Columns.MOVIE_ID]).aggregate(n=ratings.count())
        yield from _duplicates(
            pairs,
            kind="duplicate_rating",
            file=RATINGS_FILE,
            column=Columns.MOVIE_ID,
            problem="user-movie pairs with more than one rating",
            remedy="Keep one rating of each pair, such as the newest.",
        )
    if Columns.MOVIE_ID in movies.columns:
        ids = movies.group_by(Columns.MOVIE_ID).aggregate(n=movies.count())
        yield from _duplicates(
            ids,
            kind="duplicate_movie",
            file=MOVIES_FILE,
            column=Columns.MOVIE_ID,
            problem="movies that occur more than once",
            remedy="Keep one row of each movie.",
        )
    if Columns.MOVIE_ID in movies.columns and Columns.MOVIE_ID in ratings.columns:
        unknown = ratings.filter(ratings[Columns.MOVIE_ID].notnull()).anti_join(movies, Columns.MOVIE_ID)
        count = unknown.count().to_pyarrow().as_py()
        if count:
            yield Anomaly(
                kind="unknown_movie",
                severity="error",
                table=RATINGS_FILE,
                column=Columns.MOVIE_ID,
                count=count,
                message=f"{count:,} ratings of movies that {MOVIES_FILE} does not have",
                rows=_first(unknown, unknown.columns),
                remedy="Add these movies, or remove their ratings, at the source.",
            )


def _duplicates(
    counts: ir.Table, *, kind: str, file: str, column: str, problem: str, remedy: str
) -> Iterator[Anomaly]:
    repeated = counts.filter(counts["n"] > 1)
    count = repeated.count().to_pyarrow().as_py()
    if count:
        yield Anomaly(
            kind=kind,
            severity="error",
            table=file,
            column=column,
            count=count,
            message=f"{count:,} {problem}",
            rows=_first(repeated, repeated.columns),
            remedy=remedy,
        )


def _first(bad: ir.Table, order: Sequence[str]) -> tuple[dict[str, Any], ...]:
    """The first few rows by value, which do not depend on how the engine read them."""
    rows = bad.order_by(*order).limit(_SHOWN_ROWS).to_pyarrow().to_pylist()
    return tuple({name: _plain(value) for name, value in row.items()} for row in rows)


def _plain(value: object) -> Any:
    """JSON has no NaN and no infinity: these become text."""
    if isinstance(value, float) and not (float("-inf") < value < float("inf")):
        return str(value)
    return value
