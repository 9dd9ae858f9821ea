"""The rows of a delimited text file as Python reads them, each with the number of its line."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, Final

from recommender.data.files.row_problems import RowProblem
from recommender.data.files.source_text import header_of, read_head, scan_text
from recommender.errors import DataError

Row = Mapping[str, str]
"""The fields of one line by the name of their column."""

NOT_AN_ID: Final = "is not a whole number from 0 to 2^63-1"
TEXT_ID: Final = f"{NOT_AN_ID}: ids that are text have to be numbered first"

_MAX_INT64: Final = 2**63 - 1
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_ROWS_AT_ONCE: Final = 10_000
_DELIMITERS: Final = (",", ";", "\t", "|")


class FieldError(ValueError):
    """A field of one row that does not fit."""

    def __init__(self, field: str, value: str, wrong: str) -> None:
        super().__init__(f"{field}: {value!r} {wrong}")
        self.field = field
        self.value = value
        self.wrong = wrong


@dataclass(frozen=True)
class DelimitedLayout:
    """How the lines of a file are divided into named fields."""

    delimiter: str | None
    """None for that of `,`, `;`, tab and `|` which finds the most columns in the header."""
    columns: tuple[str, ...]
    """Names of the columns. Under `has_header` these must be present, in any order, and more may be."""
    has_header: bool = False
    quoted: bool = False
    """Whether fields may stand in double quotes, as in RFC 4180."""


@dataclass(frozen=True)
class DelimitedFile:
    """A text file that was looked at: its head fits its layout."""

    path: Path
    delimiter: str
    columns: tuple[str, ...]
    """All of them, in the order of the file."""
    has_header: bool
    quoted: bool


def open_delimited(path: Path, layout: DelimitedLayout) -> DelimitedFile:
    """Look at the head of a file.

    Raises:
        DataError: it cannot be read or is no text, or it has no header, or one that lacks a column or has it
            twice.
    """
    head = read_head(path)
    if b"\0" in head.partition(b"\n")[0]:
        raise DataError(f"{path} is no text: its first line has zero bytes. Unpack it, or save it as UTF-8.")
    if not layout.has_header:
        assert layout.delimiter is not None
        return DelimitedFile(path, layout.delimiter, layout.columns, has_header=False, quoted=layout.quoted)
    delimiter = layout.delimiter or max(
        _DELIMITERS,
        key=lambda sign: (len(set(layout.columns) & set(names := header_of(path, head, sign))), len(names)),
    )
    names = header_of(path, head, delimiter)
    if names and _NUMBER.fullmatch(names[0].strip()) and not set(layout.columns) <= set(names):
        raise DataError(
            f"{path}, line 1: {', '.join(names)[:200]!r} is no header. Put a line above it that names its "
            f"columns, such as {delimiter.join(layout.columns)}."
        )
    require_names(f"{path}, line 1: the header", names, layout.columns)
    if twice := next((name for name in names if name and names.count(name) > 1), None):
        raise DataError(f"{path}, line 1: the header has {twice!r} twice. Rename or remove one of them.")
    return DelimitedFile(path, delimiter, names, has_header=True, quoted=layout.quoted)


def require_names(place: str, names: tuple[str, ...], required: tuple[str, ...]) -> None:
    """Refuse a table that lacks a column.

    Raises:
        DataError: names the missing columns, those that there are and the nearest of them.
    """
    if absent := [name for name in required if name not in names]:
        by_letters = {name.casefold(): name for name in names}
        nearest = [
            by_letters[near]
            for name in absent
            for near in get_close_matches(name.casefold(), by_letters, n=1, cutoff=0.5)
        ]
        meant = f" Is {', '.join(map(repr, dict.fromkeys(nearest)))} meant?" if nearest else ""
        raise DataError(
            f"{place} lacks {', '.join(absent)}; it has {', '.join(names)[:200]!r}.{meant} Rename its "
            "columns, or say in `columns` of example_gen.ratings or example_gen.movies what they are called."
        )


def numbered_chunks(file: DelimitedFile, size: int) -> Iterator[tuple[Sequence[int], list[list[str]]]]:
    """The fields of every row below the header, and the number of its line, so many rows at a time.

    A row that a quoted field stretches over several lines has the number of the first. Blank lines are rows
    with at most one, blank field.

    Raises:
        DataError: a quote is never closed, or something stands between it and the delimiter.
    """
    chunks = _quoted_chunks(file, size) if file.quoted else _plain_chunks(file, size)
    skip = int(file.has_header)
    for numbers, rows in chunks:
        yield numbers[skip:], rows[skip:]
        skip = 0


def is_blank(fields: Sequence[str]) -> bool:
    """Whether a row is a blank line."""
    return not fields or (len(fields) == 1 and not fields[0].strip())


def read_rows(path: Path, layout: DelimitedLayout, problems: list[RowProblem]) -> Iterator[tuple[int, Row]]:
    """Give every line that is not blank, with its number; those with other than all fields go to `problems`.

    Meant for tables of movies, which fit in memory; ratings are read by the engine.

    Raises:
        DataError: the file cannot be read, its header is another, or a quote in it is never closed.
    """
    file = open_delimited(path, layout)
    for numbers, rows in numbered_chunks(file, _ROWS_AT_ONCE):
        for line, fields in zip(numbers, rows, strict=True):
            if len(fields) == len(file.columns):
                yield line, dict(zip(file.columns, fields, strict=True))
            elif not is_blank(fields):
                whole, wrong = file.delimiter.join(fields), wrong_number(len(fields), file)
                problems.append(RowProblem(line, "whole line", whole, wrong))


def wrong_number(n_fields: int | str, file: DelimitedFile) -> str:
    """What is wrong with a line of so many fields."""
    return f"has {n_fields} fields, not {len(file.columns)} separated by {file.delimiter!r}"


def whole_number(row: Mapping[str, Any], field: str) -> int:
    """A field that is a whole number from 0 to 2**63 - 1, however it is written: `7`, `7.0`, `7e0`.

    Raises:
        FieldError: it is missing or anything else.
    """
    text = str(row[field]).strip()
    if not text:
        raise FieldError(field, row[field], "is missing")
    if not _NUMBER.fullmatch(text):
        raise FieldError(field, str(row[field]), TEXT_ID)
    value = Decimal(text)
    if not 0 <= value <= _MAX_INT64 or value != value.to_integral_value():
        raise FieldError(field, str(row[field]), NOT_AN_ID)
    return int(value)


def _plain_chunks(file: DelimitedFile, size: int) -> Iterator[tuple[Sequence[int], list[list[str]]]]:
    with file.path.open(encoding=scan_text(file.path).encoding) as lines:
        start = 1
        while rows := [line.rstrip("\n").split(file.delimiter) for line in islice(lines, size)]:
            yield range(start, start + len(rows)), rows
            start += len(rows)


def _quoted_chunks(file: DelimitedFile, size: int) -> Iterator[tuple[Sequence[int], list[list[str]]]]:
    with file.path.open(encoding=scan_text(file.path).encoding, newline="") as lines:
        reader = csv.reader(lines, delimiter=file.delimiter, strict=True)
        start, rows = 1, list[list[str]]()
        while True:
            try:
                # Not a list of a slice: what stands before an error is wanted to tell its line.
                rows.extend(islice(reader, size))
            except csv.Error as error:
                line = _first_lines(rows, start)[-1] if rows else start
                raise DataError(
                    f"{file.path}, line {line}: {error}. A field with a double quote in it must stand in "
                    "double quotes, with the inner quote doubled."
                ) from error
            if not rows:
                return
            following = reader.line_num + 1
            is_plain = following - start == len(rows)
            yield range(start, following) if is_plain else _first_lines(rows, start)[:-1], rows
            start, rows = following, []


def _first_lines(rows: Sequence[Sequence[str]], start: int) -> list[int]:
    """The line on which each row begins, and that behind the last."""
    heights = (1 + sum(len(_LINE_END.findall(field)) for field in row) for row in rows)
    return list(accumulate(heights, initial=start))
