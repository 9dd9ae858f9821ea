"""Splits: which ratings train the model, which choose it and which judge it, and what is kept of that."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Annotated, Final, Literal, Self

import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, model_validator

from recommender.configuration import Configuration
from recommender.data.columns import Columns
from recommender.document import Document

PART: Final = "part"
"""Column that names the part of a rating."""
PARTS: Final = ("train", "validation", "test")

_HASHED_ROWS: Final = 1_000_000

Strategy = Literal["random", "time_user", "time_global", "leave_last_out", "provided"]
Share = Annotated[float, Field(ge=0.0, lt=1.0)]
AtLeastOne = Annotated[int, Field(ge=1)]


class SplitConfig(Configuration):
    """How ratings are filtered and divided into a training, a validation and a test part."""

    strategy: Strategy = "random"
    """`random`: a random share of each user's ratings is the test part (protocol P-random). `time_user`: each
    user's last ratings (P-time-user). `time_global`: the newest of all ratings (P-time-global).
    `leave_last_out`: each user's last rating (P-leave-last-out). `provided`: your own training and test files
    (P-provided). Validation is carved the same way from what is left; for `provided` at random within each
    user, unless a validation file is given, too."""
    within: Literal["user", "movie"] = "user"
    """Under `random`: `movie` takes the share of each movie's ratings instead of each user's (P-ms)."""
    test_size: Share = 0.2
    """Share of ratings that is kept for the test; 0 trains on everything but the validation part, on which
    training is then repeated. `leave_last_out` and `provided` only ask whether it is 0."""
    validation_size: Share = 0.1
    """Share, of what the test part leaves, on which a model is chosen; 0 for none. `leave_last_out` only asks
    whether it is 0, and so does `provided` where a validation file is given."""
    min_rating: float | None = None
    """Ratings below this are left out first."""
    min_user_ratings: AtLeastOne = 1
    """Users with fewer ratings than this, among those that are left, are then left out."""
    k_core: AtLeastOne = 1
    """Users and movies with fewer ratings than this are left out last, again and again until all that are
    left have so many; 1 leaves out none."""

    @model_validator(mode="after")
    def _only_random_goes_by_movie(self) -> Self:
        if self.within != "user" and self.strategy != "random":
            raise ValueError(f"within={self.within} needs strategy=random, and it is {self.strategy}")
        return self


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
    notes: tuple[str, ...] = ()
    """What a person should know of these ratings, such as that they have no timestamps."""


def content_sha256(file: Path) -> str:
    """Fingerprint of a Parquet file of ratings by value: the same for the same rows, however they are stored.

    The SHA-256 of the SHA-256s of the columns `user_id`, `movie_id`, `timestamp` (int64) and `rating`
    (float32), each the little-endian bytes of its values, in the order of the rows: give sorted rows.
    """
    types = {
        Columns.USER_ID: "<i8",
        Columns.MOVIE_ID: "<i8",
        Columns.TIMESTAMP: "<i8",
        Columns.RATING: "<f4",
    }
    # Reading and hashing leave the interpreter to others, so columns go side by side.
    with ThreadPoolExecutor() as threads:
        digests = list(threads.map(partial(_column_sha256, file), types, types.values()))
    return hashlib.sha256(b"".join(digests)).hexdigest()


def _column_sha256(file: Path, column: str, kind: str) -> bytes:
    digest = hashlib.sha256()
    with pq.ParquetFile(file) as table:
        for batch in table.iter_batches(_HASHED_ROWS, columns=[column]):
            digest.update(batch.column(0).to_numpy(zero_copy_only=False).astype(kind, copy=False))
    return digest.digest()
