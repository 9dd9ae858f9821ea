"""What ratings and movies must look like, as a file that a person can read, change and commit."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from math import gcd
from pathlib import Path
from typing import Any, Final, Self

import ibis
import yaml
from ibis.common.exceptions import IbisError
from ibis.expr import types as ir
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from recommender.configuration import Configuration
from recommender.data.columns import Columns
from recommender.data.engine import (
    MOVIES_FILE,
    RATINGS_FILE,
    EngineConfig,
    movies_table,
    open_engine,
    ratings_table,
    require_columns,
)
from recommender.data.moments import from_points, rating_counts
from recommender.data.rating_scale import RatingScale
from recommender.data.source_report import SourceReport
from recommender.errors import ConfigurationError, DataError

SCHEMA_FILE: Final = "schema.yaml"

_MOST_VALUES: Final = 100
_RARE_SHARE: Final = 0.001
# Nobody rated movies on the web before; what is older is a broken clock or another unit.
_FIRST_RATING_SITES: Final = int(datetime(1995, 1, 1, tzinfo=UTC).timestamp())
_HEADER: Final = """\
# What ratings and movies must look like; ExampleValidator checks every row against it.
#
# SchemaGen inferred this from the data. To make it yours, copy this file, change what is not as you mean it,
# commit it, and name it in the configuration, as seen from where `marquee` is called:
#
#   schema_gen:
#     path: schema.yaml
#
# type: int64, float32, string, array<string> and so on. required: the table must have the column.
# nullable: values may be missing. rating_scale: ratings are min plus whole multiples of step, up to max;
# `step: null` allows anything between. timestamps: Unix seconds, UTC, of the oldest and the newest rating
# that can be true; `max: null` means the day of the run, and `timestamps: null` that ratings have no times.
"""


class SchemaGenConfig(Configuration):
    """What ratings and movies must look like."""

    path: str | None = None
    """A schema that you committed, seen from where `marquee` is called: used instead of an inferred one.
    SchemaGen writes one to start from."""

    def committed(self) -> str:
        """The text of the committed schema; empty where there is none.

        Raises:
            ConfigurationError: the file is missing or is no schema; names it and the field.
        """
        if self.path is None:
            return ""
        file = Path(self.path).expanduser().absolute()
        try:
            text = file.read_text(encoding="utf-8")
            parse_schema(text, str(file))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"{file} cannot be read ({error}): set schema_gen.path to a schema, or leave it out."
            ) from error
        except DataError as error:
            raise ConfigurationError(str(error)) from error
        return text


class ColumnSchema(BaseModel):
    """One column of a table."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    type: str
    """Such as `int64`, `float32`, `string` or `array<string>`."""
    required: bool = True
    """The table must have the column."""
    nullable: bool = False
    """Values may be missing."""

    @field_validator("type")
    @classmethod
    def _is_a_type(cls, name: str) -> str:
        try:
            ibis.dtype(name)
        # RuntimeError is what the parser of types raises.
        except (IbisError, RuntimeError, TypeError, ValueError) as error:
            raise ValueError(
                "there is no such type; types are int64, float32, array<string> and such"
            ) from error
        return name


PROVENANCE: Final[Mapping[str, ColumnSchema]] = {
    Columns.SOURCE_FILE: ColumnSchema(type="int16", required=False, nullable=True),
    Columns.SOURCE_LINE: ColumnSchema(type="int64", required=False, nullable=True),
}
"""Where a rating comes from: may always be there, and is no part of what ratings must look like."""


class TimestampRange(BaseModel):
    """The oldest and the newest time that a rating can truly have, Unix seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    min: int = Field(default=0, ge=0)
    max: int | None = None
    """None for the time of the check, give or take a day."""

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.max is not None and self.max < self.min:
            raise ValueError(f"the newest, {self.max}, is before the oldest, {self.min}")
        return self


_RATINGS: Final[Mapping[str, ColumnSchema]] = {
    Columns.USER_ID: ColumnSchema(type="int64"),
    Columns.MOVIE_ID: ColumnSchema(type="int64"),
    Columns.RATING: ColumnSchema(type="float32"),
    Columns.TIMESTAMP: ColumnSchema(type="int64"),
}
_MOVIES: Final[Mapping[str, ColumnSchema]] = {
    Columns.MOVIE_ID: ColumnSchema(type="int64"),
    Columns.TITLE: ColumnSchema(type="string"),
    Columns.GENRES: ColumnSchema(type="array<string>"),
    Columns.RELEASE_YEAR: ColumnSchema(type="int32", nullable=True),
    Columns.IMDB_ID: ColumnSchema(type="string", required=False, nullable=True),
    Columns.TMDB_ID: ColumnSchema(type="int64", required=False, nullable=True),
    Columns.TAGS: ColumnSchema(type="array<string>", required=False, nullable=True),
}


class Schema(BaseModel):
    """What ratings and movies must look like."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    ratings: dict[str, ColumnSchema]
    """Columns of `ratings.parquet`."""
    movies: dict[str, ColumnSchema]
    """Columns of `movies.parquet`."""
    rating_scale: RatingScale
    timestamps: TimestampRange | None
    """None where ratings have no times."""

    @field_validator("ratings")
    @classmethod
    def _has_canonical_ratings(cls, columns: dict[str, ColumnSchema]) -> dict[str, ColumnSchema]:
        return _with_canonical(columns, _RATINGS)

    @field_validator("movies")
    @classmethod
    def _has_canonical_movies(cls, columns: dict[str, ColumnSchema]) -> dict[str, ColumnSchema]:
        return _with_canonical(columns, _MOVIES)


def _with_canonical(
    columns: dict[str, ColumnSchema], canonical: Mapping[str, ColumnSchema]
) -> dict[str, ColumnSchema]:
    """Refuse a schema with which later steps would fail on data that conforms to it."""
    for name, must in canonical.items():
        column = columns.get(name)
        if column is None:
            if must.required:
                raise ValueError(f"{name} is not there: later steps need it")
        elif column.type != must.type:
            raise ValueError(f"{name}.type must be {must.type}, not {column.type}: later steps rely on it")
        elif must.required and not column.required:
            raise ValueError(f"{name}.required must be true: later steps need it")
    return columns


def infer_schema(examples: Path, engine: EngineConfig | None = None) -> Schema:
    """Read from examples what ratings and movies look like.

    Canonical columns get their canonical types whatever the files hold, and further columns the types they
    have. The rating scale is the one that the source declares. Where it declares none, it is that of the
    common values: a value that fewer than one rating in a thousand has widens the scale only if it continues
    it, so that a stray 55 among half stars remains an anomaly. In the same way the oldest possible rating is
    from 1995, unless more than one rating in a thousand is older.

    Args:
        examples: Folder with `ratings.parquet`, `movies.parquet` and perhaps `source.json`.
        engine: What computes.

    Raises:
        DataError: a file or a canonical column is missing, or there is no usable rating.
    """
    tables = open_engine(engine)
    try:
        ratings, movies = ratings_table(tables, examples), movies_table(tables, examples)
        require_columns(ratings, (Columns.RATING, Columns.TIMESTAMP), examples / RATINGS_FILE)
        require_columns(movies, (Columns.MOVIE_ID,), examples / MOVIES_FILE)
        counts, _n_unusable = rating_counts(ratings)
        if not counts:
            raise DataError(f"{examples / RATINGS_FILE} has no rating to infer a schema from.")
        timestamps = _timestamps(ratings)
        columns = _columns(ratings.drop(*PROVENANCE.keys() & set(ratings.columns)), _RATINGS)
        if timestamps is None:
            columns[Columns.TIMESTAMP] = ColumnSchema(type="int64", nullable=True)
        return Schema(
            ratings=columns,
            movies=_columns(movies, _MOVIES),
            rating_scale=_declared_scale(examples) or _scale(counts),
            timestamps=timestamps,
        )
    finally:
        tables.disconnect()


def write_schema(schema: Schema, folder: Path) -> None:
    """Write `schema.yaml`, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(schema.model_dump(mode="json"), sort_keys=False)
    beside = folder / f".{SCHEMA_FILE}"
    beside.write_text(f"{_HEADER}\n{text}", encoding="utf-8")
    beside.replace(folder / SCHEMA_FILE)


def read_schema(folder: Path) -> Schema:
    """Read `schema.yaml`.

    Raises:
        DataError: the file is missing, is not YAML or has a key or value that does not fit.
    """
    file = folder / SCHEMA_FILE
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read ({error}): run SchemaGen.") from error
    return parse_schema(text, str(file))


def parse_schema(text: str, called: str) -> Schema:
    """Read the text of a schema.

    Args:
        text: YAML.
        called: Where it comes from, for errors.

    Raises:
        DataError: it is not YAML, or has a key or value that does not fit; names each.
    """
    try:
        values = yaml.safe_load(text)
        # Through JSON, which knows no dates: a value that looks like one is told as text.
        return Schema.model_validate(json.loads(json.dumps(values, default=str)))
    except yaml.YAMLError as error:
        raise DataError(
            f"{called} is no YAML: {error}. Mend it, or start from what SchemaGen writes."
        ) from error
    except ValidationError as error:
        lines = "".join(f"\n  {_told(problem)}" for problem in error.errors(include_url=False))
        raise DataError(
            f"{called} is no schema:{lines}\nMend what is named here, or copy what SchemaGen writes."
        ) from error


def _told(problem: Any) -> str:
    path = ".".join(str(part) for part in problem["loc"]) or "the whole file"
    if problem["type"] == "extra_forbidden":
        return f"{path}: there is no such key"
    if problem["type"] == "missing":
        return f"{path} is missing"
    reason = problem["msg"].removeprefix("Value error, ")
    # A whole section as the value says nothing that the reason does not.
    return f"{path}: {reason}" + ("" if isinstance(problem["input"], dict) else f", got {problem['input']!r}")


def _declared_scale(examples: Path) -> RatingScale | None:
    # A folder made by hand has no report.
    return SourceReport.read(examples).rating_scale if (examples / SourceReport.file_name).is_file() else None


def _columns(table: ir.Table, canonical: Mapping[str, ColumnSchema]) -> dict[str, ColumnSchema]:
    further = {
        name: ColumnSchema(type=str(kind).lstrip("!"), required=False, nullable=True)
        for name, kind in table.schema().items()
        if name not in canonical
    }
    return {**canonical, **further}


def _timestamps(ratings: ir.Table) -> TimestampRange | None:
    timestamp = ratings[Columns.TIMESTAMP].try_cast("int64")
    old = (timestamp >= 0) & (timestamp < _FIRST_RATING_SITES)
    row = ratings.aggregate(
        n=timestamp.count(), n_old=old.sum(), oldest=old.ifelse(timestamp, ibis.null("int64")).min()
    )
    found = row.to_pyarrow().to_pylist()[0]
    if not found["n"]:
        return None
    is_common = found["n_old"] > _RARE_SHARE * found["n"]
    return TimestampRange(min=found["oldest"] if is_common else _FIRST_RATING_SITES)


def _scale(counts: Mapping[int, int]) -> RatingScale:
    total = sum(counts.values())
    common = [value for value, n in counts.items() if n >= _RARE_SHARE * total]
    if len(counts) > _MOST_VALUES or len(common) < 2:
        return RatingScale(min=from_points(min(counts)), max=from_points(max(counts)), step=None)
    low, high = common[0], common[-1]
    step = gcd(*(value - low for value in common))
    # One value of the scale may have been skipped; two in a row mean that what follows is not on it.
    while below := [value for value in (low - step, low - 2 * step) if value in counts]:
        low = below[0]
    while above := [value for value in (high + step, high + 2 * step) if value in counts]:
        high = above[0]
    return RatingScale(min=from_points(low), max=from_points(high), step=from_points(step))
