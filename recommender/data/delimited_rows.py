"""The rows of a small delimited text file, each with its line number."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from recommender.data.row_problems import RowProblem, RowProblems
from recommender.data.source_text import decode, header_of, read_head
from recommender.errors import DataError

Row = Mapping[str, str]
"""The fields of one line by the name of their column."""

_MAX_INT64 = 2**63 - 1
_MOST_DIGITS = 19


class FieldError(ValueError):
    """A field of one line that does not fit."""

    def __init__(self, field: str, value: str, wrong: str) -> None:
        super().__init__(f"{field}: {value!r} {wrong}")
        self.field = field
        self.value = value
        self.wrong = wrong


@dataclass(frozen=True)
class DelimitedLayout:
    """How the lines of a file are divided into named fields."""

    delimiter: str
    columns: tuple[str, ...]
    """Names of the columns. Under `has_header` these must be present, in any order, and more may be."""
    has_header: bool = False
    quoted: bool = False
    """Whether fields may stand in double quotes, as in RFC 4180."""


def read_rows(path: Path, layout: DelimitedLayout, problems: RowProblems) -> Iterator[tuple[int, Row]]:
    """Give every line that is not blank, with its number; those with other than all fields go to `problems`.

    Meant for tables of movies, which fit in memory; ratings are read by DuckDB.

    Raises:
        DataError: the file cannot be read, its header is another, or a quote in it is never closed.
    """
    head = read_head(path)
    columns = layout.columns
    if layout.has_header:
        columns = header_of(path, head, layout.delimiter)
        if absent := [name for name in layout.columns if name not in columns]:
            raise DataError(
                f"{path}, line 1: the header lacks {', '.join(absent)}; it should have "
                f"{layout.delimiter.join(layout.columns)!r}, it is {layout.delimiter.join(columns)[:200]!r}. "
                "Add the header or rename its columns."
            )
    lines = _fields(path, layout)
    if layout.has_header:
        next(lines, None)
    for line, fields in lines:
        if not any(field.strip() for field in fields):
            continue
        if len(fields) == len(columns):
            yield line, dict(zip(columns, fields, strict=True))
        else:
            wrong = f"has {len(fields)} fields, not {len(columns)} separated by {layout.delimiter!r}"
            problems.add(RowProblem(line, "whole line", layout.delimiter.join(fields), wrong))


def whole_number(row: Row, field: str) -> int:
    """A field that is a whole number from 0 to 2**63 - 1.

    Raises:
        FieldError: it is missing or anything else.
    """
    text = row[field].strip()
    if not text:
        raise FieldError(field, row[field], "is missing")
    if not text.isdecimal() or len(text) > _MOST_DIGITS or int(text) > _MAX_INT64:
        raise FieldError(field, row[field], "is not a whole number of 0 or more")
    return int(text)


def _fields(path: Path, layout: DelimitedLayout) -> Iterator[tuple[int, list[str]]]:
    text = decode(path.read_bytes())
    if not layout.quoted:
        for number, line in enumerate(io.StringIO(text, newline=None), start=1):
            yield number, line.rstrip("\n").split(layout.delimiter)
        return
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=layout.delimiter, strict=True)
    try:
        for fields in reader:
            yield reader.line_num, fields
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num}: {error}. A field with a double quote in it must stand in "
            "double quotes, with the inner quote doubled."
        ) from error
