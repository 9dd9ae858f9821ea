"""Checks of the columns of a table: whether they are there, and of which type."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import ibis
import pandera.ibis as pa
from ibis.expr import types as ir
from pandera.config import ValidationDepth, config_context
from pandera.errors import SchemaErrorReason, SchemaErrors

from recommender.data.checks.anomalies import Anomaly
from recommender.data.schema import ColumnSchema


def check_structure(table: ir.Table, columns: Mapping[str, ColumnSchema], file: str) -> Iterator[Anomaly]:
    """Missing columns and wrong types, by pandera as far as it knows the types; it knows no lists."""
    expected = pa.DataFrameSchema(
        {
            name: pa.Column(_known_to_pandera(column.type), required=column.required)
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
        is_left = name in table.columns and _known_to_pandera(column.type) is None
        if is_left and not _has_type(table, name, column):
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


def usable_columns(table: ir.Table, columns: Mapping[str, ColumnSchema]) -> ir.Table:
    """The table with only those columns whose values can be looked at."""
    return table.select(
        *(
            name
            for name, column in columns.items()
            if name in table.columns and _has_type(table, name, column)
        )
    )


def _known_to_pandera(name: str) -> Any:
    kind = ibis.dtype(name)
    try:
        pa.Column(kind)
    except TypeError:
        return None
    return kind


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
