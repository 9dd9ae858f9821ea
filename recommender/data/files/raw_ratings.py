"""The fields of a file of ratings as they stand there, as a table of the engine."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.backends.sql import SQLBackend
from ibis.expr import types as ir

from recommender.data.columns import Columns
from recommender.data.files.delimited_rows import DelimitedFile, is_blank, numbered_chunks
from recommender.data.files.rating_values import N_FIELDS, WHOLE_LINE
from recommender.data.files.source_text import SourceText

_ROWS_AT_ONCE: Final = 10_000


def text_fields(
    engine: SQLBackend,
    text: DelimitedFile,
    fields: Mapping[str, str],
    scanned: SourceText,
    *,
    numbered: bool = False,
    as_numbers: bool = False,
) -> ir.Table:
    """The fields of a text file, split in parallel. A line that the engine does not split into all columns
    is an error when the table is computed, or has missing fields.

    Args:
        engine: What computes.
        text: The file.
        fields: Canonical columns, and what the file calls them.
        scanned: What is known of the whole file.
        numbered: Give the line of each row, too, if each line is one; on DuckDB, and no longer in parallel.
        as_numbers: Read ratings as float32 and other fields as float64, on DuckDB; what is no number is an
            error when the table is computed. Takes half the time, but whole numbers from 2**53 are rounded,
            and digits may be divided by "_".
    """
    positions = {name: text.columns.index(called) for name, called in fields.items()}
    if engine.name == "duckdb":
        return _view(
            engine, _duckdb_query(text, positions, scanned, numbered=numbered, as_numbers=as_numbers)
        )
    return _spark_fields(engine, text, positions, scanned)


def parquet_fields(
    engine: SQLBackend, path: Path, fields: Mapping[str, str], *, numbered: bool = False
) -> ir.Table:
    """The fields of a Parquet file; with the number of each row, from 1, where DuckDB is the engine."""
    if engine.name != "duckdb":
        table = engine.read_parquet(str(path))
        return table.select(**{name: table[called] for name, called in fields.items()})
    selected = [f"{_name(called)} AS {name}" for name, called in fields.items()]
    if numbered:
        selected.append(f"file_row_number + 1 AS {Columns.SOURCE_LINE}")
    return _view(
        engine,
        f"SELECT {', '.join(selected)} FROM read_parquet({_text(path)}, "  # noqa: S608
        f"file_row_number = {numbered}, hive_partitioning = false)",
    )


def write_numbered_fields(text: DelimitedFile, fields: Mapping[str, str], path: Path) -> int:
    """Write the fields of every line to a Parquet file, with its number, and return how many there are.

    Slower than `text_fields`, but it says for each line what is in it.
    """
    schema = pa.schema(
        [
            (Columns.SOURCE_LINE, pa.int64()),
            (WHOLE_LINE, pa.string()),
            (N_FIELDS, pa.int64()),
            *((name, pa.string()) for name in fields),
        ]
    )
    positions = [text.columns.index(called) for called in fields.values()]
    n_rows = 0
    with pq.ParquetWriter(path, schema) as writer:
        for numbers, rows in numbered_chunks(text, _ROWS_AT_ONCE):
            columns = _text_columns(numbers, rows, text, positions)
            arrays = [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            n_rows += len(arrays[0])
    return n_rows


def _text_columns(
    numbers: Sequence[int], rows: list[list[str]], text: DelimitedFile, positions: Sequence[int]
) -> list[Sequence[Any]]:
    """Numbers of lines, whole lines that have other than all fields, numbers of fields, and the fields."""
    n_columns = len(text.columns)
    counts = list(map(len, rows))
    if rows and counts.count(n_columns) == len(rows):
        cells = list(zip(*rows, strict=True))
        return [numbers, [None] * len(rows), counts, *(cells[position] for position in positions)]
    there = [(number, row) for number, row in zip(numbers, rows, strict=True) if not is_blank(row)]
    for _, row in there:
        if len(row) == n_columns + 1 and not row[-1]:
            # DuckDB takes no notice of a delimiter at the end of a line: neither does this.
            row.pop()
    whole = [len(row) == n_columns for _, row in there]
    return [
        [number for number, _ in there],
        [None if fits else text.delimiter.join(row) for fits, (_, row) in zip(whole, there, strict=True)],
        [len(row) for _, row in there],
        *(
            [row[position] if fits else None for fits, (_, row) in zip(whole, there, strict=True)]
            for position in positions
        ),
    ]


def _duckdb_query(
    text: DelimitedFile,
    positions: Mapping[str, int],
    scanned: SourceText,
    *,
    numbered: bool,
    as_numbers: bool,
) -> str:
    """Ibis's own reader does not take columns as they come, without guessing."""
    kinds = dict.fromkeys(range(len(text.columns)), "VARCHAR")
    if as_numbers:
        kinds |= {
            position: "FLOAT" if name == Columns.RATING else "DOUBLE" for name, position in positions.items()
        }
    columns = ", ".join(f"'c{position}': '{kind}'" for position, kind in kinds.items())
    selected = ", ".join(f"c{position} AS {name}" for name, position in positions.items())
    if numbered:
        selected += f", row_number() OVER () + {int(text.has_header)} AS {Columns.SOURCE_LINE}"
    quote = "'\"'" if text.quoted else "''"
    encoding = "latin-1" if scanned.encoding == "latin-1" else "utf-8"
    return (
        f"SELECT {selected} FROM read_csv({_text(text.path)}, columns = {{{columns}}}, auto_detect = false, "  # noqa: S608
        f"header = {text.has_header}, delim = {_text(text.delimiter)}, quote = {quote}, escape = {quote}, "
        f"encoding = '{encoding}', hive_partitioning = false)"
    )


def _spark_fields(
    engine: SQLBackend, text: DelimitedFile, positions: Mapping[str, int], scanned: SourceText
) -> ir.Table:
    quote = '"' if text.quoted else ""
    table = engine.read_csv(
        str(text.path),
        schema=", ".join(
            [*(f"c{position} STRING" for position in range(len(text.columns))), "broken STRING"]
        ),
        columnNameOfCorruptRecord="broken",
        inferSchema=False,
        header=text.has_header,
        sep=text.delimiter,
        quote=quote,
        escape=quote,
        encoding="ISO-8859-1" if scanned.encoding == "latin-1" else "UTF-8",
    )
    fields = {name: table[f"c{position}"] for name, position in positions.items()}
    # To Spark "4f" is a number.
    is_whole = table["broken"].isnull() & ~fields[Columns.RATING].re_search("[dDfF]")
    fields[Columns.RATING] = ibis.ifelse(is_whole, fields[Columns.RATING], ibis.null("string"))
    return table.select(**fields)


def _view(engine: SQLBackend, query: str) -> ir.Table:
    name = ibis.util.gen_name("fields")
    engine.raw_sql(f"CREATE TEMP VIEW {name} AS {query}")
    return engine.table(name)


def _text(text: object) -> str:
    """A string in SQL's quotes."""
    return "'" + str(text).replace("'", "''") + "'"


def _name(name: str) -> str:
    """A name in SQL's quotes."""
    return '"' + name.replace('"', '""') + '"'
