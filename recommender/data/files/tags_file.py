"""Reading a file of tags: what users have called a movie, in a few words of their own."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import ibis
import pyarrow as pa
from ibis.backends.sql import SQLBackend
from ibis.expr import types as ir

from recommender.data.columns import Columns
from recommender.data.engine import open_engine, stored
from recommender.data.files.delimited_rows import (
    DelimitedLayout,
    FieldError,
    open_delimited,
    read_rows,
    whole_number,
)
from recommender.data.files.raw_ratings import text_fields
from recommender.data.files.row_problems import REFUSED, RowProblem, UnreadableRows
from recommender.data.files.source_text import scan_text

_logger = logging.getLogger(__name__)

MOST_TAGS: Final = 10
"""That are kept of a movie."""
_TAG: Final = "tag"
_FIELDS: Final = (Columns.USER_ID, Columns.MOVIE_ID, _TAG)
_PLAIN_ID: Final = r"^[0-9]{1,18}$"


@dataclass(frozen=True)
class TagsLayout:
    """How a file of tags is laid out."""

    file_name: str
    fields: DelimitedLayout
    """Its first three columns are the user's id, the movie's id and the tag."""


@dataclass(frozen=True)
class TagsFile:
    """A file of tags to read."""

    path: Path
    layout: TagsLayout


def read_tags(
    file: TagsFile,
    scratch: Path,
    unreadable: UnreadableRows = REFUSED,
    source_file: int = 0,
) -> dict[int, list[str]]:
    """Read the tags that most users gave each movie, most given first, in small letters, at most `MOST_TAGS`.

    A user counts once for a tag of a movie, however often they gave it and whatever letters were capital.
    Blank tags say nothing and are passed over.

    Args:
        file: What to read.
        scratch: Folder for what is on the way.
        unreadable: What becomes of rows that cannot be read.
        source_file: Position of the file in the report.

    Raises:
        DataError: the file cannot be read, its header is another, or rows in it cannot be read.
    """
    engine = open_engine(scratch=scratch)
    try:
        given = _given_at_once(engine, file, scratch)
        if given is None:
            _logger.info("%s: not every line is one good row, so each is looked at", file.path.name)
            given = ibis.memtable(_given_by_row(file, unreadable, source_file))
        most = engine.to_pyarrow(_most_given(given))
    finally:
        engine.disconnect()
    tags: dict[int, list[str]] = {}
    for movie_id, tag in zip(most[Columns.MOVIE_ID].to_pylist(), most[_TAG].to_pylist(), strict=True):
        tags.setdefault(movie_id, []).append(tag)
    return tags


def _given_at_once(engine: SQLBackend, file: TagsFile, scratch: Path) -> ir.Table | None:
    """Who gave which movie which tag, read in parallel; None where not every line is one good row."""
    text = open_delimited(file.path, file.layout.fields)
    called = dict(zip(_FIELDS, file.layout.fields.columns, strict=False))
    scanned = scan_text(file.path)
    try:
        fields = text_fields(engine, text, called, scanned)
        ids = {name: fields[name].strip() for name in (Columns.USER_ID, Columns.MOVIE_ID)}
        plain = {
            name: ibis.ifelse(digits.re_search(_PLAIN_ID), digits, ibis.null("string")).cast("int64")
            for name, digits in ids.items()
        }
        given = stored(engine, fields.select(_TAG, **plain), scratch / "tags")
        is_unread = given[Columns.USER_ID].isnull() | given[Columns.MOVIE_ID].isnull()
        counts = engine.execute(given.aggregate(n=given.count(), unread=is_unread.sum().fill_null(0))).iloc[0]
    except duckdb.Error as error:
        _logger.debug("%s: %s", file.path, error)
        return None
    whole = scanned.n_lines == int(counts["n"]) + text.has_header
    return given if whole and not int(counts["unread"]) else None


def _given_by_row(file: TagsFile, unreadable: UnreadableRows, source_file: int) -> pa.Table:
    """The same, row by row; the rows that cannot be read are settled."""
    user, movie, tag = file.layout.fields.columns[:3]
    given: dict[str, list[Any]] = {name: [] for name in _FIELDS}
    problems: list[RowProblem] = []
    for line, row in read_rows(file.path, file.layout.fields, problems):
        try:
            values = whole_number(row, user), whole_number(row, movie), row[tag]
        except FieldError as error:
            problems.append(RowProblem(line, error.field, error.value, error.wrong))
            continue
        for name, value in zip(_FIELDS, values, strict=True):
            given[name].append(value)
    problems.sort(key=lambda problem: problem.line)
    unreadable.settle_few(file.path, source_file, problems, len(given[_TAG]) + len(problems))
    kinds = pa.schema([(Columns.USER_ID, pa.int64()), (Columns.MOVIE_ID, pa.int64()), (_TAG, pa.string())])
    return pa.table(given, schema=kinds)


def _most_given(given: ir.Table) -> ir.Table:
    """The tags of each movie that most users gave, most given first, by their letters among equals."""
    said = given.mutate(**{_TAG: given[_TAG].strip().lower()})
    counted = (
        said.filter(said[_TAG].length() > 0)
        .group_by(Columns.MOVIE_ID, _TAG)
        .aggregate(n_users=lambda tag: tag[Columns.USER_ID].nunique())
    )
    place = ibis.row_number().over(
        group_by=Columns.MOVIE_ID, order_by=[counted["n_users"].desc(), counted[_TAG]]
    )
    placed = counted.mutate(place=place)
    return placed.filter(placed["place"] < MOST_TAGS).order_by(Columns.MOVIE_ID, "place")
