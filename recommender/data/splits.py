"""Splits: which ratings train the model, which choose it and which judge it."""

import hashlib
from collections.abc import Iterable
from fractions import Fraction
from typing import Annotated, Final, Literal

import ibis
import pyarrow as pa
from ibis.expr import types as ir
from pydantic import BaseModel, ConfigDict, Field

from recommender.configuration import Configuration
from recommender.data.columns import Columns
from recommender.document import Document

PART: Final = "part"
PARTS: Final = ("train", "validation", "test")

Share = Annotated[float, Field(ge=0.0, lt=1.0)]


class SplitConfig(Configuration):
    """How ratings are filtered and divided into a training, a validation and a test part."""

    strategy: Literal["random"] = "random"
    """`random`: protocol P-random, a random share of each user's ratings."""
    test_size: Share = 0.2
    """Share of each user's ratings that is kept for the test; 0 trains on everything."""
    validation_size: Share = 0.1
    """Share of what is left of each user's ratings after the test part."""
    min_rating: float | None = None
    """Ratings below this are left out first."""
    min_user_ratings: Annotated[int, Field(ge=1)] = 1
    """Users with fewer ratings than this, among those that are left, are then left out."""


class PartSummary(BaseModel):
    """One part of a split."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_ratings: int
    n_users: int
    n_movies: int
    sha256: str


class Dropped(BaseModel):
    """What one filter left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    filter: str
    value: float
    n_ratings: int
    n_users: int


class SplitManifest(Document):
    """How a split came about and what is in it."""

    file_name = "split.json"
    written_by = "Transform"

    protocol: str
    """Name of the evaluation protocol, such as `P-random`."""
    strategy: str
    seed: int
    config: SplitConfig
    parts: dict[str, PartSummary]
    """Counts and content hash of `train`, `validation` and `test`."""
    dropped: tuple[Dropped, ...]
    """What the filters left out, in the order in which they came; users are those left with nothing."""


def split_ratings(ratings: ir.Table, config: SplitConfig, seed: int) -> ir.Table:
    """Filter the ratings and name the part of each, in the column `part`: train, validation or test.

    P-random: within each user, the ratings stand in the order of the MD5 of `seed:user_id:movie_id`. The
    first round(n * test_size) are test, the next round((n - n_test) * validation_size) validation, halves
    rounded up; at least one rating of each user stays for training. Nothing but these values decides, so
    every engine and every number of threads gives the same parts. Times play no part: a model may train on
    ratings that are newer than those it is tested on.

    Args:
        ratings: `user_id, movie_id, rating, timestamp`, one rating for each user and movie.
        config: Sizes and filters.
        seed: Another seed, another draw.
    """
    kept = _above_min_rating(ratings, config)
    user, movie = kept[Columns.USER_ID], kept[Columns.MOVIE_ID]
    ticket = (ibis.literal(f"{seed}:") + user.cast("string") + ":" + movie.cast("string")).hexdigest("md5")
    drawn = ibis.window(
        group_by=user, order_by=[ticket, movie, kept[Columns.TIMESTAMP], kept[Columns.RATING]]
    )
    placed = kept.mutate(
        _place=ibis.row_number().over(drawn), _n=kept.count().over(ibis.window(group_by=user))
    )
    if config.min_user_ratings > 1:
        placed = placed.filter(placed["_n"] >= config.min_user_ratings)
    n_test = ibis.least(_rounded_share(placed["_n"], config.test_size), placed["_n"] - 1)
    left = placed["_n"] - n_test
    n_validation = ibis.least(_rounded_share(left, config.validation_size), left - 1)
    part = ibis.cases(
        (placed["_place"] < n_test, "test"),
        (placed["_place"] < n_test + n_validation, "validation"),
        else_="train",
    )
    return placed.mutate(part.name(PART)).drop("_place", "_n")


def dropped_ratings(ratings: ir.Table, config: SplitConfig) -> tuple[Dropped, ...]:
    """Count what each filter of the configuration leaves out of the ratings."""
    dropped = []
    before = _size(ratings) if config.min_rating is not None or config.min_user_ratings > 1 else (0, 0)
    kept = _above_min_rating(ratings, config)
    if config.min_rating is not None:
        after = _size(kept)
        dropped.append(_dropped("min_rating", config.min_rating, before, after))
        before = after
    if config.min_user_ratings > 1:
        active = kept.group_by(Columns.USER_ID).aggregate(n=kept.count())
        active = active.filter(active["n"] >= config.min_user_ratings)
        row = active.aggregate(ratings=active["n"].sum().fill_null(0), users=active.count()).to_pyarrow()
        after = (int(row["ratings"][0].as_py()), int(row["users"][0].as_py()))
        dropped.append(_dropped("min_user_ratings", config.min_user_ratings, before, after))
    return tuple(dropped)


def content_sha256(batches: Iterable[pa.RecordBatch]) -> str:
    """Fingerprint of ratings by value: the same for the same rows in whatever file they lie.

    The SHA-256 of the SHA-256s of the columns `user_id`, `movie_id`, `timestamp` (int64) and `rating`
    (float32), each the little-endian bytes of its values, in the order of the rows: give sorted rows.
    """
    types = {
        Columns.USER_ID: "<i8",
        Columns.MOVIE_ID: "<i8",
        Columns.TIMESTAMP: "<i8",
        Columns.RATING: "<f4",
    }
    columns = {name: hashlib.sha256() for name in types}
    for batch in batches:
        for name, kind in types.items():
            values = batch.column(name).to_numpy(zero_copy_only=False)
            columns[name].update(values.astype(kind, copy=False).tobytes())
    return hashlib.sha256(b"".join(column.digest() for column in columns.values())).hexdigest()


def _above_min_rating(ratings: ir.Table, config: SplitConfig) -> ir.Table:
    if config.min_rating is None:
        return ratings
    return ratings.filter(ratings[Columns.RATING].cast("float64") >= config.min_rating)


def _rounded_share(count: ir.Value, share: float) -> ir.Value:
    """`count * share` rounded half up, in whole numbers: 0.29 * 50 is 14.5 here, and not a little less."""
    exact = Fraction(str(share)).limit_denominator(1_000_000)
    return (count * (2 * exact.numerator) + exact.denominator) // (2 * exact.denominator)


def _size(ratings: ir.Table) -> tuple[int, int]:
    row = ratings.aggregate(ratings=ratings.count(), users=ratings[Columns.USER_ID].nunique()).to_pyarrow()
    return int(row["ratings"][0].as_py()), int(row["users"][0].as_py())


def _dropped(name: str, value: float, before: tuple[int, int], after: tuple[int, int]) -> Dropped:
    return Dropped(filter=name, value=value, n_ratings=before[0] - after[0], n_users=before[1] - after[1])
