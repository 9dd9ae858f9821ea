"""What ratings and movies must look like, as a file that a person can read and change."""

from collections.abc import Mapping
from math import gcd
from pathlib import Path
from typing import Any, Final, Self

import yaml
from ibis.expr import types as ir
from pydantic import BaseModel, ConfigDict, ValidationError

from recommender.data.columns import Columns
from recommender.data.engine import (
    MOVIES_FILE,
    RATINGS_FILE,
    movies_table,
    open_engine,
    ratings_table,
    require_columns,
)
from recommender.data.moments import from_points, points
from recommender.data.rating_scale import RatingScale
from recommender.errors import DataError

_MOST_VALUES: Final = 100
_RARE_SHARE: Final = 0.001


class ColumnSchema(BaseModel):
    """One column of a table."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    type: str
    """Such as `int64`, `float32`, `string` or `array<string>`."""
    required: bool = True
    """The table must have the column."""
    nullable: bool = False
    """Values may be missing."""


class TimestampRange(BaseModel):
    """Oldest and newest rating, Unix seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min: int
    max: int


class Schema(BaseModel):
    """What ratings and movies must look like."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    ratings: dict[str, ColumnSchema]
    """Columns of `ratings.parquet`."""
    movies: dict[str, ColumnSchema]
    """Columns of `movies.parquet`."""
    rating_scale: RatingScale
    timestamps: TimestampRange

    @classmethod
    def from_mapping(cls, values: Any) -> Self:
        """Read plain values, such as YAML gives."""
        return cls.model_validate(values)


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
}


def infer_schema(examples: Path) -> Schema:
    """Read from examples what ratings and movies look like.

    Canonical columns get their canonical types whatever the files hold, and further columns the types they
    have. The rating scale is that of the common values: a value that fewer than one rating in a thousand has
    widens the scale only if it continues it, so that a stray 55 among half stars remains an anomaly.

    Raises:
        DataError: a file or a canonical column is missing, or there is no usable rating.
    """
    engine = open_engine()
    try:
        ratings, movies = ratings_table(engine, examples), movies_table(engine, examples)
        require_columns(ratings, (Columns.RATING, Columns.TIMESTAMP), examples / RATINGS_FILE)
        require_columns(movies, (Columns.MOVIE_ID,), examples / MOVIES_FILE)
        times = ratings.aggregate(
            min=ratings[Columns.TIMESTAMP].min(), max=ratings[Columns.TIMESTAMP].max()
        ).to_pyarrow()
        counts = _value_counts(ratings)
        if not counts or times["min"][0].as_py() is None:
            raise DataError(f"{examples / RATINGS_FILE} has no rating to infer a schema from.")
        return Schema(
            ratings=_columns(ratings, _RATINGS),
            movies=_columns(movies, _MOVIES),
            rating_scale=_scale(counts),
            timestamps=TimestampRange(min=times["min"][0].as_py(), max=times["max"][0].as_py()),
        )
    finally:
        engine.disconnect()


def write_schema(schema: Schema, folder: Path) -> None:
    """Write `schema.yaml`."""
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(schema.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    (folder / "schema.yaml").write_text(text, encoding="utf-8")


def read_schema(folder: Path) -> Schema:
    """Read `schema.yaml`.

    Raises:
        DataError: the file is missing, is not YAML or has a key or value that does not fit.
    """
    file = folder / "schema.yaml"
    try:
        return Schema.from_mapping(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise DataError(f"{file} is no readable schema ({error}): mend it, or run SchemaGen.") from error


def _columns(table: ir.Table, canonical: Mapping[str, ColumnSchema]) -> dict[str, ColumnSchema]:
    further = {
        name: ColumnSchema(type=str(kind).lstrip("!"), required=False, nullable=True)
        for name, kind in table.schema().items()
        if name not in canonical
    }
    return {**canonical, **further}


def _value_counts(ratings: ir.Table) -> dict[int, int]:
    """Ratings in whole ten-thousandths and how often each occurs, ascending."""
    values = ratings.select(value=points(ratings[Columns.RATING]).cast("int64"))
    values = values.filter(values["value"].notnull())
    counts = values.group_by("value").aggregate(n=values.count()).order_by("value").to_pyarrow()
    return dict(zip(counts["value"].to_pylist(), counts["n"].to_pylist(), strict=True))


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
