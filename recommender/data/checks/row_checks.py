"""Checks that look at one rating, or one movie, at a time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import ibis
from ibis.expr import types as ir

from recommender.data.checks.anomalies import Anomaly, Severity
from recommender.data.checks.first_rows import first_rows
from recommender.data.columns import Columns
from recommender.data.moments import is_usable, points
from recommender.data.rating_scale import RatingScale
from recommender.data.schema import ColumnSchema, Schema

_MISSING_VALUE: Final = "missing_value"
_OLDEST_FILM: Final = 1870


@dataclass(frozen=True)
class RowCheck:
    """A check of one column: `fails` is true in bad rows, and otherwise false or missing."""

    kind: str
    column: str
    fails: ir.BooleanColumn
    problem: str
    remedy: str
    severity: Severity = "error"

    @property
    def reason(self) -> str:
        """Names the check beside others that the same row fails."""
        return f"missing_{self.column}" if self.kind == _MISSING_VALUE else self.kind


def check_rows(
    table: ir.Table, checks: Iterable[RowCheck], file: str, files: Sequence[str]
) -> Iterator[Anomaly]:
    """Count the bad rows of all checks in one pass, and fetch the first of those that have any.

    Args:
        table: The rows.
        checks: Of this table.
        file: Its name.
        files: Names for the numbers in `source_file`.
    """
    # Not as pandera's checks on values, which would be one query each, and on a failure fetch the failing
    # values and the outcome for every row: 28 s and 2.5 GB for one failed check of 25 million ratings.
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
                rows=first_rows(table.filter(check.fails), files),
                remedy=check.remedy,
            )


def rating_checks(ratings: ir.Table, schema: Schema, now: int) -> Iterator[RowCheck]:
    """What can be wrong with one rating.

    Args:
        ratings: Those columns whose types are right.
        schema: What ratings must look like.
        now: Unix seconds; no rating is newer.
    """
    yield from _missing_values(ratings, schema.ratings)
    if Columns.RATING in ratings.columns:
        yield from _scale_checks(ratings[Columns.RATING], schema.rating_scale)
    if Columns.TIMESTAMP in ratings.columns:
        timestamp = ratings[Columns.TIMESTAMP]
        oldest = schema.timestamps.min if schema.timestamps else 0
        newest = now
        if schema.timestamps and schema.timestamps.max is not None:
            newest = min(now, schema.timestamps.max)
        yield RowCheck(
            "timestamp_too_old",
            Columns.TIMESTAMP,
            timestamp < oldest,
            f"ratings from before {_date(oldest)}",
            "Timestamps are Unix seconds: a count of days or a missing value is no timestamp. If these are "
            "true, lower timestamps.min in the schema.",
        )
        yield RowCheck(
            "timestamp_in_future",
            Columns.TIMESTAMP,
            timestamp > newest,
            f"ratings from after {_date(newest)}",
            "Timestamps are Unix seconds: divide milliseconds by 1000.",
        )


def movie_checks(movies: ir.Table, schema: Schema) -> Iterator[RowCheck]:
    """What can be wrong with one movie.

    Args:
        movies: Those columns whose types are right.
        schema: What movies must look like.
    """
    yield from _missing_values(movies, schema.movies)
    if Columns.TITLE in movies.columns:
        yield RowCheck(
            "empty_title",
            Columns.TITLE,
            movies[Columns.TITLE].strip() == "",
            "movies with an empty title",
            "People will see no name for these movies: fill it in at the source.",
            "warning",
        )
    if Columns.GENRES in movies.columns:
        yield RowCheck(
            "no_genres",
            Columns.GENRES,
            movies[Columns.GENRES].length() == 0,
            "movies without a genre",
            "Their genre vectors are zero; nothing else suffers.",
            "warning",
        )
    if Columns.RELEASE_YEAR in movies.columns:
        year = movies[Columns.RELEASE_YEAR]
        yield RowCheck(
            "no_release_year",
            Columns.RELEASE_YEAR,
            year.isnull(),
            "movies without a release year",
            "The movie model fills in the mean year; nothing else suffers.",
            "warning",
        )
        yield RowCheck(
            "implausible_release_year",
            Columns.RELEASE_YEAR,
            year < _OLDEST_FILM,
            f"movies from before {_OLDEST_FILM}",
            "Correct the year in the title at the source.",
            "warning",
        )


def _scale_checks(rating: ir.FloatingColumn, scale: RatingScale) -> Iterator[RowCheck]:
    yield RowCheck(
        "not_a_number",
        Columns.RATING,
        ~is_usable(rating) & ~_is_missing(rating),
        "ratings that are not finite numbers",
        "Remove these ratings at the source.",
    )
    whole = points(rating)
    low, high = (points(ibis.literal(bound, type="float64")) for bound in (scale.min, scale.max))
    inside = whole.between(low, high)
    yield RowCheck(
        "rating_out_of_scale",
        Columns.RATING,
        ~inside,
        f"ratings outside {scale.min:g} to {scale.max:g}",
        "Remove or convert these ratings at the source, or widen rating_scale in the schema.",
    )
    if scale.step is not None:
        step = points(ibis.literal(scale.step, type="float64"))
        yield RowCheck(
            "rating_off_step",
            Columns.RATING,
            inside & (((whole - low) % step) != 0),
            f"ratings that are not {scale.min:g} plus multiples of {scale.step:g}",
            "Round these ratings at the source, or change rating_scale.step in the schema.",
        )


def _missing_values(table: ir.Table, columns: Mapping[str, ColumnSchema]) -> Iterator[RowCheck]:
    for name in table.columns:
        if name in columns and not columns[name].nullable:
            yield RowCheck(
                _MISSING_VALUE,
                name,
                _is_missing(table[name]),
                "rows without a value",
                "Fill in or remove these rows at the source.",
            )


def _is_missing(value: ir.Value) -> ir.Value:
    if not value.type().is_floating():
        return value.isnull()
    # On Spark, Ibis takes NaN for missing.
    return value.isnull() & ~value.isnan().fill_null(False)


def _date(timestamp: int) -> str:
    return datetime.fromtimestamp(timestamp, UTC).date().isoformat()
