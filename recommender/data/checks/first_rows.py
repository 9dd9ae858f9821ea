"""The first rows of each kind of anomaly, as a person looks for them: by file and line."""

from collections.abc import Sequence
from typing import Any, Final

from ibis.expr import types as ir

from recommender.data.columns import Columns

_SHOWN: Final = 5


def first_rows(
    table: ir.Table, files: Sequence[str], first: Sequence[str] = ()
) -> tuple[dict[str, Any], ...]:
    """The first few rows as plain values, whatever way the engine reads them.

    Args:
        table: The rows.
        files: Names for the numbers in `source_file`.
        first: Columns to sort by before file, line and the others from left to right.
    """
    places = [name for name in (Columns.SOURCE_FILE, Columns.SOURCE_LINE) if name in table.columns]
    order = dict.fromkeys((*first, *places, *table.columns))
    rows = table.order_by(*order).limit(_SHOWN).to_pyarrow().to_pylist()
    return tuple(_told(row, files) for row in rows)


def _told(row: dict[str, Any], files: Sequence[str]) -> dict[str, Any]:
    number, line = row.pop(Columns.SOURCE_FILE, None), row.pop(Columns.SOURCE_LINE, None)
    place: dict[str, Any] = {}
    if number is not None and 0 <= number < len(files):
        place["file"] = files[number]
    if line is not None:
        place["line"] = line
    return place | {name: _plain(value) for name, value in row.items()}


def _plain(value: object) -> Any:
    """JSON has no NaN and no infinity: these become text."""
    if isinstance(value, float) and not (float("-inf") < value < float("inf")):
        return str(value)
    return value
