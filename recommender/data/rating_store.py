"""Ratings that the service collects, kept for good."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, RowMapping, Table, and_, bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from recommender.data.columns import Columns
from recommender.data.rating_database import (
    LONGEST_KEY,
    RATINGS,
    REQUESTS,
    VERSIONS,
    WAIT_S,
    busy,
    name_of,
    open_database,
    reader_of,
    told_of,
)
from recommender.errors import DataError, RatingConflictError

LARGEST_ID: Final = 2**63 - 1
LARGEST_RATING: Final = 1e6
LATEST_TIMESTAMP: Final = 253_402_300_799
"""The last second of the year 9999."""

REMOVED: Final = "removed"
COLLECTED_SCHEMA: Final = pa.schema(
    [
        pa.field(Columns.USER_ID, pa.int64(), nullable=False),
        pa.field(Columns.MOVIE_ID, pa.int64(), nullable=False),
        (Columns.RATING, pa.float32()),
        pa.field(Columns.TIMESTAMP, pa.int64(), nullable=False),
        pa.field(REMOVED, pa.bool_(), nullable=False),
    ]
)
"""Collected ratings as a table, in the order of user, timestamp and movie. With `removed`, any rating of the
movie by the user from elsewhere is gone; `rating` is missing where there has been none since."""

_ROWS_AT_ONCE: Final = 50_000

# Made once, because making a statement takes longer than running it.
_VERSION_OF: Final = select(VERSIONS.c.version).where(VERSIONS.c.user_id == bindparam("user_id"))
# In one statement, so that the version is that of the ratings.
_RATINGS_OF: Final = (
    select(VERSIONS.c.version, *(RATINGS.c[name] for name in ("movie_id", "rating", "timestamp", "removed")))
    .join_from(VERSIONS, RATINGS, VERSIONS.c.user_id == RATINGS.c.user_id)
    .where(VERSIONS.c.user_id == bindparam("user_id"))
    .order_by(RATINGS.c.movie_id)
)


@dataclass(frozen=True, slots=True)
class StoredRating:
    """What a user thinks of a movie, as it is on disk."""

    user_id: int
    movie_id: int
    rating: float
    timestamp: int
    """Unix seconds, UTC."""
    version: int
    """Of the user's ratings, with this one."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What a user has rated and removed through the service, each movie once, by ascending id."""

    version: int
    """How often the user's ratings changed; 0 where they never did."""
    movie_ids: NDArray[np.int64]
    ratings: NDArray[np.float32]
    """NaN where the movie was removed and has not been rated since."""
    timestamps: NDArray[np.int64]
    removed: NDArray[np.bool_]
    """Where a rating from elsewhere, whenever it was given, is gone."""


_NO_CHANGES: Final = Changes(
    0,
    np.empty(0, dtype=np.int64),
    np.empty(0, dtype=np.float32),
    np.empty(0, dtype=np.int64),
    np.empty(0, dtype=np.bool_),
)


class RatingStore:
    """Ratings collected by any number of processes, in SQLite or PostgreSQL.

    What a method has returned from is on disk. A user has one rating of a movie: of several the last by time,
    and of those of the same second the one that came last. A rating that comes after the movie was removed
    counts, whatever its time. Safe to use from several threads at once; every process opens a store of its
    own.

    Args:
        engine: An open database, as `rating_database.open_database` gives it.
        clock: Gives the time in seconds; for tests.
    """

    def __init__(self, engine: Engine, *, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._clock = clock
        self._upsert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
        # SQLite takes one writer at a time, and lets others try again and again: threads queue up instead.
        self._turn = Lock() if engine.dialect.name == "sqlite" else None
        # Every request asks for a version, and SQLite's answer takes a tenth of what SQLAlchemy adds to it.
        self._at_once = reader_of(engine)
        self._reading = Lock()
        self._version_of = str(_VERSION_OF.compile(engine))

    @classmethod
    def open(cls, url: str, *, must_exist: bool = False) -> Self:
        """Open a store, or make a new one.

        Args:
            url: `sqlite:///relative/file.db`, `sqlite:////absolute/file.db`, or
                `postgresql+psycopg://user@host/database`.
            must_exist: Make no new one.

        Raises:
            ConfigurationError: the address is not one of these, or psycopg is missing.
            RatingStoreError: the database cannot be reached or written, is damaged, or is something else.
        """
        return cls(open_database(url, must_exist=must_exist))

    @property
    def name(self) -> str:
        """Where the ratings are: a file, or an address without its password."""
        return name_of(self._engine)

    @property
    def is_on_server(self) -> bool:
        """Whether every question goes to another process."""
        return self._at_once is None

    def close(self) -> None:
        """Let go of the database."""
        if self._at_once is not None:
            self._at_once.close()
        self._engine.dispose()

    def rate(
        self,
        user_id: int,
        movie_id: int,
        rating: float,
        timestamp: int | None = None,
        idempotency_key: str | None = None,
    ) -> tuple[StoredRating, bool]:
        """Keep what a user thinks of a movie.

        Args:
            user_id: From 0.
            movie_id: From 0.
            rating: On whatever scale the others are.
            timestamp: When it was given, Unix seconds; without it, now.
            idempotency_key: The same key of the same user with the same rating changes nothing and is
                answered as the first time, however often and whenever it comes.

        Returns:
            The rating that now counts, and whether this was new: False where the key was used before.

        Raises:
            RatingConflictError: the key was used for another rating.
            DataError: a value out of its bounds.
            StoreFullError: it cannot be written; nothing has changed.
            RatingStoreError: the database did not answer. The rating may be on disk or not: the same key
                again makes sure.
        """
        _require_ids(user_id, movie_id)
        _require(Columns.RATING, rating, -LARGEST_RATING, LARGEST_RATING)
        if timestamp is not None:
            _require(Columns.TIMESTAMP, timestamp, 1, LATEST_TIMESTAMP)
        if idempotency_key is not None:
            _require_key(idempotency_key)
        with self._writing() as connection:
            version = self._locked_version(connection, user_id)
            if idempotency_key is not None:
                before = _answered_before(connection, user_id, idempotency_key, movie_id, rating, timestamp)
                if before is not None:
                    return before, False
            there = _stored(connection, user_id, movie_id)
            rated = there if there is not None and there["rating"] is not None else None
            # A clock that went back must not make what the user says now the older of two.
            moment = self._now(rated) if timestamp is None else timestamp
            if rated is not None and rated["timestamp"] > moment:
                stored = StoredRating(user_id, movie_id, rated["rating"], rated["timestamp"], version)
            else:
                stored = StoredRating(user_id, movie_id, rating, moment, version + 1)
                removed = there is not None and there["removed"]
                values = {"rating": rating, "timestamp": moment, "removed": removed}
                self._change(connection, user_id, movie_id, stored.version, values)
            if idempotency_key is not None:
                connection.execute(
                    insert(REQUESTS).values(
                        user_id=user_id,
                        idempotency_key=idempotency_key,
                        movie_id=movie_id,
                        asked_rating=rating,
                        asked_timestamp=timestamp,
                        rating=stored.rating,
                        timestamp=stored.timestamp,
                        version=stored.version,
                    )
                )
        return stored, True

    def delete(self, user_id: int, movie_id: int) -> bool:
        """Remove a user's rating of a movie, also one that came with the data of a release.

        Returns:
            Whether it had not been removed already.

        Raises:
            DataError: a value out of its bounds.
            StoreFullError: it cannot be written; nothing has changed.
            RatingStoreError: the database did not answer.
        """
        _require_ids(user_id, movie_id)
        with self._writing() as connection:
            version = self._locked_version(connection, user_id)
            there = _stored(connection, user_id, movie_id)
            if there is not None and there["rating"] is None:
                return False
            values = {"rating": None, "timestamp": self._now(there), "removed": True}
            self._change(connection, user_id, movie_id, version + 1, values)
        return True

    def version(self, user_id: int) -> int:
        """How often a user's ratings changed, 0 for never: one number, found by its key.

        Raises:
            RatingStoreError: the database did not answer.
        """
        if self._at_once is not None:
            with told_of(self._engine), self._reading:
                row = self._at_once.execute(self._version_of, (user_id,)).fetchone()
            return 0 if row is None else int(row[0])
        with told_of(self._engine), self._engine.connect() as connection:
            return connection.execute(_VERSION_OF, {"user_id": user_id}).scalar() or 0

    def ratings_of(self, user_id: int) -> Changes:
        """What a user has rated and removed through the service, and the version that this is.

        Raises:
            RatingStoreError: the database did not answer.
        """
        if self._at_once is not None and not self.version(user_id):
            return _NO_CHANGES
        with told_of(self._engine), self._engine.connect() as connection:
            rows = connection.execute(_RATINGS_OF, {"user_id": user_id}).all()
        if not rows:
            return _NO_CHANGES
        versions, movie_ids, ratings, timestamps, removed = zip(*rows, strict=True)
        return Changes(
            versions[0],
            np.array(movie_ids, dtype=np.int64),
            np.array(ratings, dtype=np.float32),
            np.array(timestamps, dtype=np.int64),
            np.array(removed, dtype=np.bool_),
        )

    def export(self) -> Iterator[pa.RecordBatch]:
        """Everything that was collected, as it was at one moment: rows of `COLLECTED_SCHEMA`, in its order.

        Raises:
            RatingStoreError: the database did not answer.
        """
        columns = [RATINGS.c[name] for name in COLLECTED_SCHEMA.names]
        query = select(*columns).order_by(RATINGS.c.user_id, RATINGS.c.timestamp, RATINGS.c.movie_id)
        with told_of(self._engine), self._engine.connect() as connection:
            found = connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(query)
            for rows in found.partitions():
                values = zip(zip(*rows, strict=True), COLLECTED_SCHEMA.types, strict=True)
                yield pa.record_batch(
                    [pa.array(column, kind) for column, kind in values], schema=COLLECTED_SCHEMA
                )

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction that ends on disk."""
        if self._turn is not None and not self._turn.acquire(timeout=WAIT_S):
            raise busy(self._engine)
        try:
            with told_of(self._engine), self._engine.begin() as connection:
                yield connection
        finally:
            if self._turn is not None:
                self._turn.release()

    def _locked_version(self, connection: Connection, user_id: int) -> int:
        """The version of a user whom nobody else changes until this transaction ends."""
        # A write, and the first statement of all: so SQLite waits for its turn here, and never fails later on
        # because somebody else wrote after it had read.
        added = self._upsert(VERSIONS).values(user_id=user_id, version=0)
        locked = added.on_conflict_do_update(
            index_elements=[VERSIONS.c.user_id], set_={"version": VERSIONS.c.version}
        )
        version: int = connection.execute(locked.returning(VERSIONS.c.version)).scalar_one()
        return version

    def _change(
        self, connection: Connection, user_id: int, movie_id: int, version: int, values: dict[str, Any]
    ) -> None:
        added = self._upsert(RATINGS).values(user_id=user_id, movie_id=movie_id, **values)
        connection.execute(
            added.on_conflict_do_update(index_elements=[RATINGS.c.user_id, RATINGS.c.movie_id], set_=values)
        )
        connection.execute(update(VERSIONS).where(VERSIONS.c.user_id == user_id).values(version=version))

    def _now(self, before: RowMapping | None) -> int:
        """The time, but never before that of a rating that is there."""
        return max(int(self._clock()), before["timestamp"] if before is not None else 0)


def _stored(connection: Connection, user_id: int, movie_id: int) -> RowMapping | None:
    query = select(RATINGS).where(_is(RATINGS, user_id=user_id, movie_id=movie_id))
    return connection.execute(query).mappings().one_or_none()


def _answered_before(
    connection: Connection, user_id: int, key: str, movie_id: int, rating: float, timestamp: int | None
) -> StoredRating | None:
    query = select(REQUESTS).where(_is(REQUESTS, user_id=user_id, idempotency_key=key))
    found = connection.execute(query).mappings().one_or_none()
    if found is None:
        return None
    asked = (found["movie_id"], found["asked_rating"], found["asked_timestamp"])
    if asked != (movie_id, rating, timestamp):
        raise RatingConflictError(
            f"The idempotency key {key!r} of user {user_id} was used before, for another rating: "
            f"movie {asked[0]}, rating {asked[1]:g}, timestamp {asked[2]}. Give every rating its own key."
        )
    return StoredRating(user_id, movie_id, found["rating"], found["timestamp"], found["version"])


def _is(table: Table, **values: Any) -> Any:
    return and_(*(table.c[name] == value for name, value in values.items()))


def _require_ids(user_id: int, movie_id: int) -> None:
    _require(Columns.USER_ID, user_id, 0, LARGEST_ID)
    _require(Columns.MOVIE_ID, movie_id, 0, LARGEST_ID)


def _require(field: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise DataError(f"{field} is {value}; allowed: from {low} to {high}.")


def _require_key(key: str) -> None:
    if not 1 <= len(key) <= LONGEST_KEY or not (key.isascii() and key.isprintable()):
        raise DataError(
            f"idempotency_key is {key[:LONGEST_KEY]!r}; allowed: 1 to {LONGEST_KEY} printable ASCII "
            "characters."
        )
