"""From what a source writes to canonical values of ratings, and what is wrong with what it writes."""

from collections.abc import Mapping
from typing import Final, Literal

import ibis
from ibis.expr import types as ir

from recommender.data.columns import Columns
from recommender.data.files.delimited_rows import NOT_AN_ID, TEXT_ID

TimestampUnit = Literal["s", "ms", "us", "iso"]

WHOLE_LINE: Final = "whole_line"
"""Column of a line that has other than all fields; missing for the others."""
N_FIELDS: Final = "n_fields"
"""Column of how many it has."""

_MOMENT: Final = "timestamp('UTC')"
"""What names no zone is taken to be in that of the engine's session, which is UTC."""
_PER_SECOND: Final = {"s": 1, "ms": 1_000, "us": 1_000_000}
_NOT_A_TIME: Final = {
    "s": "is not a whole number of seconds since 1970",
    "ms": "is not a whole number of milliseconds since 1970",
    "us": "is not a whole number of microseconds since 1970",
    "iso": "is not a time such as 2024-05-01T12:00:00Z",
}


def canonical_values(raw: ir.Table, unit: TimestampUnit) -> dict[str, ir.Value]:
    """The canonical columns of ratings, missing where a value cannot be read.

    Ids are whole numbers from 0 to 2**63 - 1, ratings finite numbers, times whole seconds; what is finer is
    cut off. Whether they are plausible is not asked here.

    Args:
        raw: `user_id`, `movie_id`, `rating` and perhaps `timestamp`, each text, a number or, `timestamp`
            alone, a point in time.
        unit: Of a `timestamp` that is text or a number.
    """
    user, movie, rating = raw[Columns.USER_ID], raw[Columns.MOVIE_ID], raw[Columns.RATING]
    has_timestamps = Columns.TIMESTAMP in raw.columns
    return {
        Columns.USER_ID: _whole(user, from_zero=True),
        Columns.MOVIE_ID: _whole(movie, from_zero=True),
        Columns.RATING: _finite(rating),
        Columns.TIMESTAMP: _seconds(raw[Columns.TIMESTAMP], unit) if has_timestamps else ibis.null("int64"),
    }


def misfits(
    raw: ir.Table, unit: TimestampUnit, fields: Mapping[str, str], source_file: int, wrong_line: str
) -> ir.Table:
    """The rows that cannot be read, in the columns of `PROBLEMS_SCHEMA` and the order of the file.

    Args:
        raw: As for `canonical_values`, with `source_line`, and for text with `whole_line` and `n_fields`.
        unit: Of timestamps.
        fields: The canonical columns that the source has, and what it calls them.
        source_file: Position of the file in the report.
        wrong_line: What is wrong with a line that has other than all fields, with `{}` for how many.
    """
    typed = canonical_values(raw, unit)
    wrong = {
        Columns.USER_ID: NOT_AN_ID,
        Columns.MOVIE_ID: NOT_AN_ID,
        Columns.RATING: "is not a finite number",
        Columns.TIMESTAMP: _NOT_A_TIME[unit],
    }
    field, value, problem = [], [], []
    if WHOLE_LINE in raw.columns:
        broken = raw[WHOLE_LINE].notnull()
        before, _, after = wrong_line.partition("{}")
        field.append((broken, ibis.literal("whole line")))
        value.append((broken, raw[WHOLE_LINE]))
        problem.append((broken, ibis.literal(before) + raw[N_FIELDS].cast("string") + ibis.literal(after)))
    for name, called in fields.items():
        unread = typed[name].isnull()
        text = raw[name].cast("string").fill_null("")
        field.append((unread, ibis.literal(called)))
        value.append((unread, text))
        problem += [
            (unread & (text.strip() == ""), ibis.literal("is missing")),
            (
                unread & text.re_search(r"^\s*-?[0-9]+,[0-9]+\s*$"),
                ibis.literal("has a decimal comma: write a point instead"),
            ),
        ]
        if name in {Columns.USER_ID, Columns.MOVIE_ID}:
            problem.append((unread & text.try_cast("float64").isnull(), ibis.literal(TEXT_ID)))
        if name == Columns.TIMESTAMP and unit != "iso":
            problem.append(
                (
                    unread & text.re_search(r"^\s*[0-9]{4}-[0-9]{2}-[0-9]{2}"),
                    ibis.literal("is a date: set example_gen.ratings.timestamp_unit to iso"),
                )
            )
        problem.append((unread, ibis.literal(wrong[name])))
    rows = raw.filter(ibis.or_(*(condition for condition, _ in field)))
    return rows.order_by(Columns.SOURCE_LINE).select(
        ibis.literal(source_file).cast("int16").name(Columns.SOURCE_FILE),
        Columns.SOURCE_LINE,
        field=ibis.cases(*field),
        value=ibis.cases(*value),
        problem=ibis.cases(*problem),
    )


def _whole(value: ir.Value, *, from_zero: bool = False) -> ir.Value:
    whole = value.try_cast("int64")
    fits = ibis.literal(True) if value.type().is_integer() else whole == value.try_cast("float64")
    # Read as a whole number "1.5" is 2 and "0x10" 16, as a fraction "1.5" and nothing: only "16" is both.
    if value.type().is_string():
        fits = fits & ~value.contains("_")
    if from_zero:
        fits = fits & (whole >= 0)
    return ibis.ifelse(fits, whole, ibis.null("int64"))


def _finite(value: ir.Value) -> ir.Value:
    number = value.try_cast("float32")
    fits = ~(number.isnan() | number.isinf())
    if value.type().is_string():
        fits = fits & ~value.contains("_")
    return ibis.ifelse(fits, number, ibis.null("float32"))


def _seconds(value: ir.Value, unit: TimestampUnit) -> ir.Value:
    if value.type().is_timestamp() or value.type().is_date():
        return _since_1970(value.cast(_MOMENT))
    if unit != "iso":
        whole = _whole(value)
        return whole if unit == "s" else whole // _PER_SECOND[unit]
    text = value.cast("string").strip()
    # Engines take words such as "infinity", too, and not the same ones.
    is_date = text.re_search("^[0-9]{4}-[0-9]{2}-[0-9]{2}")
    return ibis.ifelse(is_date, _since_1970(text.try_cast(_MOMENT)), ibis.null("int64"))


def _since_1970(moment: ir.Value) -> ir.Value:
    return moment.truncate("s").epoch_seconds().cast("int64")
