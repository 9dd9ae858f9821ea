"""Reading a file of ratings, whatever its layout, with DuckDB: all of it at full speed, faults by line."""

import codecs
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import ibis
from ibis.backends.duckdb import Backend
from ibis.expr import types as ir

from recommender.data.columns import Columns
from recommender.data.row_problems import SHOWN, RowProblem, RowProblems
from recommender.data.source_text import header_of, read_head
from recommender.errors import DataError

_WHOLE: Final = "is not a whole number"
_IDENTIFIER: Final = f"{_WHOLE} of 0 or more"
_WRONG: Final = {
    Columns.USER_ID: _IDENTIFIER,
    Columns.MOVIE_ID: _IDENTIFIER,
    Columns.RATING: "is not a rating: half stars from 0.5 to 5 are",
    Columns.TIMESTAMP: f"{_WHOLE} of seconds since 1970",
}
_N_FIELDS: Final = len(_WRONG)
_LONGEST_REASON: Final = 300
_NO_DELIMITER: Final = "\x01\x02\x03\x04"
"""Stands in no text file, so that DuckDB hands over whole lines."""


@dataclass(frozen=True)
class RatingsLayout:
    """How a file of ratings is laid out: user, movie, rating and timestamp on every line."""

    file_name: str
    delimiter: str
    header: tuple[str, str, str, str] | None = None
    """What user, movie, rating and timestamp are called in the first line; None where there is no header,
    and the fields stand in this order."""


def read_ratings(engine: Backend, path: Path, layout: RatingsLayout) -> ir.Table:
    """Read a file of ratings into a table with canonical columns, called `ratings`.

    Every line is split and cast in one parallel scan. Only if some line does not fit is the file scanned
    once more, with line numbers, to name the first few such lines and count them all. Line ends may be
    `\\n`, `\\r\\n` or both, blank lines are skipped, a BOM is ignored.

    Raises:
        DataError: the file cannot be read, its header is another, it has no ratings or lines that don't fit.
    """
    head = read_head(path)
    order = _field_order(path, head, layout)
    parsed = _parsed(path, layout, order, has_bom=head.startswith(codecs.BOM_UTF8))
    try:
        # Ibis has no reader for whole lines, DuckDB has.
        engine.raw_sql(f"CREATE TEMP VIEW rating_lines AS {parsed}")
        lines = engine.table("rating_lines")
        ratings = engine.create_table("ratings", lines.select(*_WRONG))
        n_ratings, n_broken = (
            int(engine.execute(count))
            for count in (ratings.count(), ratings.filter(_misfits(ratings)).count())
        )
        broken = []
        if n_broken:
            first = lines.filter(_misfits(lines)).order_by("line").limit(SHOWN)
            broken = engine.to_pyarrow(first).to_pylist()
    except duckdb.Error as error:
        # The engine quotes the line it stumbled over, however long that is.
        reason = str(error).partition("\n")[0][:_LONGEST_REASON]
        raise DataError(f"{path} cannot be read: {reason}") from error
    if not n_ratings:
        raise DataError(f"{path} holds no ratings, only its header or blank lines. Copy or unpack it again.")
    RowProblems(path, [_problem(row, order, layout) for row in broken], n_broken).raise_if_any()
    return ratings


def _misfits(table: ir.Table) -> ir.BooleanValue:
    return ibis.or_(*(table[name].isnull() for name in _WRONG))


def _field_order(path: Path, head: bytes, layout: RatingsLayout) -> list[int]:
    """Where user, movie, rating and timestamp stand in a line, counted from 0."""
    if layout.header is None:
        return list(range(_N_FIELDS))
    found = header_of(path, head, layout.delimiter)
    if sorted(found) != sorted(layout.header):
        raise DataError(
            f"{path}, line 1: the header should be {layout.delimiter.join(layout.header)!r}, "
            f"it is {layout.delimiter.join(found)[:200]!r}. Add the header or rename its columns."
        )
    return [found.index(name) for name in layout.header]


def _parsed(path: Path, layout: RatingsLayout, order: list[int], *, has_bom: bool) -> str:
    """A query for the canonical columns, each NULL where it does not fit, beside the line they come from.

    Unused columns cost nothing: the line number, which would make the scan serial, is only computed where
    it is selected. Latin-1 gives every byte a character, so that a broken byte is a fault of its line, not
    of the file.
    """
    header = layout.header is not None
    line = "line" if not has_bom or header else "ltrim(line, 'ï»¿')"
    if layout.header is not None:
        line = f"replace({line}, '\"', '')"
    user, movie, rating, timestamp = (f"trim(fields[{position + 1}])" for position in order)
    # Read as a whole number "1.5" is 2 and "0x10" 16, as a fraction "1.5" and nothing: only "16" is both.
    whole = "CASE WHEN try_cast({0} AS BIGINT) = try_cast({0} AS DOUBLE) THEN try_cast({0} AS BIGINT) END"
    identifier = f"CASE WHEN {whole} >= 0 THEN {whole} END"
    stars = f"try_cast({rating} AS DOUBLE)"
    return f"""
        SELECT
            line_number + {int(header)} AS line,
            all_fields AS fields,
            {identifier.format(user)} AS {Columns.USER_ID},
            {identifier.format(movie)} AS {Columns.MOVIE_ID},
            CASE WHEN {stars} BETWEEN 0.5 AND 5 AND 2 * {stars} = floor(2 * {stars})
                THEN {stars}::FLOAT END AS {Columns.RATING},
            {whole.format(timestamp)} AS {Columns.TIMESTAMP}
        FROM (
            SELECT line_number, all_fields,
                CASE WHEN len(all_fields) = {_N_FIELDS} THEN all_fields END AS fields
            FROM (
                SELECT line_number, string_split({line}, {_quoted(layout.delimiter)}) AS all_fields
                FROM (
                    SELECT row_number() OVER () AS line_number, line
                    FROM read_csv(
                        {_quoted(path)}, columns = {{'line': 'VARCHAR'}}, auto_detect = false,
                        header = {header}, delim = '{_NO_DELIMITER}', quote = '', escape = '',
                        strict_mode = false, encoding = 'latin-1')
                )
                WHERE trim(line) <> ''
            )
        )"""  # noqa: S608


def _problem(row: dict[str, Any], order: list[int], layout: RatingsLayout) -> RowProblem:
    fields: list[str] = row["fields"]
    if len(fields) != _N_FIELDS:
        wrong = f"has {len(fields)} fields, not {_N_FIELDS} separated by {layout.delimiter!r}"
        return RowProblem(row["line"], "whole line", layout.delimiter.join(fields), wrong)
    index, name = next((index, name) for index, name in enumerate(_WRONG) if row[name] is None)
    value = fields[order[index]]
    field = layout.header[index] if layout.header else name
    return RowProblem(row["line"], field, value, _WRONG[name] if value.strip() else "is missing")


def _quoted(text: object) -> str:
    """A string in SQL's quotes."""
    return "'" + str(text).replace("'", "''") + "'"
