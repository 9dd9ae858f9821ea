"""Ratings that are kept for good: what counts, what is answered, what is refused."""

import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from recommender.data.rating_database import open_database
from recommender.data.rating_store import COLLECTED_SCHEMA, RatingStore, StoredRating
from recommender.errors import ConfigurationError, DataError, RatingConflictError, RatingStoreError

NOON = 1_780_000_000


@pytest.fixture
def store(url: str) -> Iterator[RatingStore]:
    opened = RatingStore(open_database(url), clock=lambda: NOON + 0.9)
    yield opened
    opened.close()


def kept(store: RatingStore, user_id: int) -> dict[int, tuple[float, int]]:
    changes = store.ratings_of(user_id)
    values = zip(
        changes.movie_ids.tolist(), changes.ratings.tolist(), changes.timestamps.tolist(), strict=True
    )
    return {movie: (rating, moment) for movie, rating, moment in values if not np.isnan(rating)}


def exported(store: RatingStore) -> list[tuple]:
    return [tuple(row.values()) for batch in store.export() for row in batch.to_pylist()]


def test_a_rating_is_kept_with_the_time_it_came(store: RatingStore):
    assert store.rate(7, 10, 4.5) == (StoredRating(7, 10, 4.5, NOON, version=1), True)
    assert store.rate(7, 11, 2, 1_000) == (StoredRating(7, 11, 2, 1_000, version=2), True)
    assert kept(store, 7) == {10: (4.5, NOON), 11: (2.0, 1_000)}
    assert kept(store, 8) == {}


def test_a_store_that_is_opened_again_has_what_it_had(url: str):
    for expected in ({}, {10: 4.5}):
        store = RatingStore.open(url)
        assert {movie: rating for movie, (rating, _) in kept(store, 7).items()} == expected
        store.rate(7, 10, 4.5, idempotency_key="a")
        assert store.version(7) == 1
        store.close()


def test_the_same_key_and_rating_is_answered_as_the_first_time(store: RatingStore):
    first, _ = store.rate(7, 10, 4.5, None, "a")
    store.rate(7, 10, 1.0)
    store.delete(7, 10)
    assert store.rate(7, 10, 4.5, None, "a") == (first, False)
    assert kept(store, 7) == {}
    assert store.version(7) == 3


@pytest.mark.parametrize("other", [(11, 4.5, None), (10, 4.0, None), (10, 4.5, NOON)])
def test_the_same_key_with_another_rating_is_a_conflict(store: RatingStore, other: tuple):
    store.rate(7, 10, 4.5, None, "a")
    with pytest.raises(RatingConflictError, match=r"'a' of user 7 was used before.*movie 10, rating 4.5"):
        store.rate(7, *other, "a")
    assert kept(store, 7) == {10: (4.5, NOON)}
    assert store.rate(8, *other, "a")[1]


def test_of_several_ratings_of_a_movie_the_last_by_time_counts(store: RatingStore):
    store.rate(7, 10, 3.0, 200)
    late, is_new = store.rate(7, 10, 1.0, 100, "late")
    assert (late, is_new) == (StoredRating(7, 10, 3.0, 200, version=1), True)
    assert store.rate(7, 10, 1.0, 100, "late") == (late, False)
    store.rate(7, 10, 5.0, 200)
    assert kept(store, 7) == {10: (5.0, 200)}
    assert store.version(7) == 2


def test_what_is_said_now_counts_even_if_the_clock_went_back(url: str):
    times = iter([500.0, 400.0, 300.0])
    store = RatingStore(open_database(url), clock=lambda: next(times))
    store.rate(7, 10, 3.0)
    store.rate(7, 10, 4.0)
    assert kept(store, 7) == {10: (4.0, 500)}
    store.delete(7, 10)
    assert store.ratings_of(7).timestamps.tolist() == [500]
    store.close()


def test_a_removed_movie_stays_removed_from_elsewhere_when_it_is_rated_again(store: RatingStore):
    assert store.delete(7, 10)
    assert not store.delete(7, 10)
    changes = store.ratings_of(7)
    assert (changes.version, changes.movie_ids.tolist(), changes.removed.tolist()) == (1, [10], [True])
    assert np.isnan(changes.ratings).tolist() == [True]
    store.rate(7, 10, 2.0, 100)
    assert kept(store, 7) == {10: (2.0, 100)}
    assert store.ratings_of(7).removed.tolist() == [True]


def test_export_is_sorted_by_user_time_and_movie(store: RatingStore):
    store.rate(2, 30, 4.0, 50)
    store.rate(2, 20, 3.5, 50)
    store.rate(2, 10, 5.0, 60)
    store.rate(1, 99, 0.5, 70)
    store.delete(1, 5)
    assert exported(store) == [
        (1, 99, 0.5, 70, False),
        (1, 5, None, NOON, True),
        (2, 20, 3.5, 50, False),
        (2, 30, 4.0, 50, False),
        (2, 10, 5.0, 60, False),
    ]
    assert [batch.schema for batch in store.export()] == [COLLECTED_SCHEMA]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((-1, 10, 3.0), "user_id is -1"),
        ((7, 2**63, 3.0), "movie_id is 9223372036854775808"),
        ((7, 10, float("nan")), "rating is nan"),
        ((7, 10, float("inf")), "rating is inf"),
        ((7, 10, 3.0, 0), "timestamp is 0"),
        ((7, 10, 3.0, 2**40), "timestamp is 1099511627776"),
        ((7, 10, 3.0, 1, ""), "idempotency_key is ''"),
        ((7, 10, 3.0, 1, "x" * 129), "idempotency_key is 'xxx"),
        ((7, 10, 3.0, 1, "a\0b"), "idempotency_key"),
    ],
)
def test_values_out_of_bounds_are_refused(store: RatingStore, values: tuple, message: str):
    with pytest.raises(DataError, match=message):
        store.rate(*values)
    assert store.version(7) == 0


def test_the_largest_values_fit(store: RatingStore):
    largest = 2**63 - 1
    store.rate(largest, largest, 1e6, 253_402_300_799, "~" * 128)
    assert exported(store) == [(largest, largest, 1e6, 253_402_300_799, False)]


def test_threads_take_turns(store: RatingStore):
    def rate(user_id: int) -> None:
        for movie_id in range(5):
            store.rate(user_id % 4, 100 * user_id + movie_id, 3.0)
            assert store.ratings_of(user_id % 4).version >= 1

    threads = [threading.Thread(target=rate, args=(user_id,)) for user_id in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [store.version(user_id) for user_id in range(4)] == [30] * 4
    assert len(exported(store)) == 120


def test_a_database_of_another_version_is_refused(url: str):
    engine = open_database(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE rating_store_schema SET version = 9")
    engine.dispose()
    with pytest.raises(
        RatingStoreError, match="has ratings in version 9 of the tables; this is for version 1"
    ):
        RatingStore.open(url)


def test_a_table_with_other_columns_is_refused(url: str):
    engine = open_database(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE rating_versions ADD COLUMN more INTEGER")
    engine.dispose()
    with pytest.raises(
        RatingStoreError, match="rating_versions has the columns user_id, version, more instead"
    ):
        RatingStore.open(url)


def test_a_store_that_must_be_there_is_not_made(url: str):
    with pytest.raises(RatingStoreError, match=r"holds no ratings\. Name the store"):
        RatingStore.open(url, must_exist=True)
    if url.startswith("sqlite"):
        assert not Path(url.removeprefix("sqlite:///")).exists()
    RatingStore.open(url).close()
    RatingStore.open(url, must_exist=True).close()


@pytest.mark.parametrize("place", ["header", "middle"])
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, place: str):
    file = tmp_path / "ratings.db"
    store = RatingStore.open(f"sqlite:///{file}")
    for movie_id in range(300):
        store.rate(1, movie_id, 3.0, idempotency_key=f"a key that takes some room, number {movie_id}")
    store.close()
    content = bytearray(file.read_bytes())
    start = 0 if place == "header" else 4096 * 4
    content[start : start + 4096] = b"\x5a" * 4096
    file.write_bytes(content)
    with pytest.raises(RatingStoreError, match=rf"{file} is damaged or no database .*Put a copy of it back"):
        RatingStore.open(f"sqlite:///{file}")
    assert file.read_bytes() == bytes(content)


def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path: Path):
    file = tmp_path / "other.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE invoices (amount)")
    with pytest.raises(RatingStoreError, match=rf"{file} holds other tables \(invoices\)"):
        RatingStore.open(f"sqlite:///{file}")
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("invoices",)]


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RatingStoreError, match=r"file/ratings\.db cannot be made.*Name another file"):
        RatingStore.open(f"sqlite:///{tmp_path}/file/ratings.db")


@pytest.mark.parametrize(
    "url",
    [
        "ratings.db",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///a.db?mode=ro",
        "mysql://u:secret@h/d",
        "://",
    ],
)
def test_an_address_that_keeps_no_ratings_is_refused(url: str):
    with pytest.raises(ConfigurationError, match="Give sqlite:///FILE or postgresql") as refused:
        RatingStore.open(url)
    assert "secret" not in str(refused.value)


def test_a_server_that_does_not_answer_is_named_without_its_password():
    pytest.importorskip("psycopg")
    with pytest.raises(RatingStoreError, match=r"u:\*\*\*@127.0.0.1:1/d: .*did not answer") as refused:
        RatingStore.open("postgresql+psycopg://u:secret@127.0.0.1:1/d?password=secret")
    assert "secret" not in str(refused.value)


def test_postgresql_that_acknowledges_too_early_is_refused(postgresql: str):
    with pytest.raises(RatingStoreError, match="synchronous_commit is off"):
        RatingStore.open(f"{postgresql}&options=-c%20synchronous_commit%3Doff")


def test_a_connection_that_broke_is_made_anew(postgresql: str):
    psycopg = pytest.importorskip("psycopg")
    store = RatingStore.open(postgresql)
    store.rate(7, 10, 3.0)
    with psycopg.connect(postgresql.replace("+psycopg", "")) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
            "AND backend_type = 'client backend'"
        )
    assert store.version(7) == 1
    store.close()


class StoreAgainstDictionaries(RuleBasedStateMachine):
    """A store does what a few dictionaries would."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.now = 1_000
        self.ratings: dict[tuple[int, int], tuple[float | None, int, bool]] = {}
        self.versions: dict[int, int] = {}
        self.answers: dict[tuple[int, str], tuple[tuple, StoredRating]] = {}
        self.open()

    def open(self) -> None:
        engine = open_database(f"sqlite:///{self.folder / 'ratings.db'}")
        self.store = RatingStore(engine, clock=lambda: self.now)

    users = st.integers(0, 2)
    movies = st.integers(0, 3)
    values = st.sampled_from([0.5, 3.0, 4.5])

    @rule(
        user=users,
        movie=movies,
        value=values,
        moment=st.none() | st.integers(990, 1_020),
        key=st.none() | st.sampled_from(["a", "b", "c"]),
    )
    def rate(self, user: int, movie: int, value: float, moment: int | None, key: str | None) -> None:
        asked = (movie, value, moment)
        if key is not None and (user, key) in self.answers:
            before, answer = self.answers[user, key]
            if before != asked:
                with pytest.raises(RatingConflictError):
                    self.store.rate(user, *asked, key)
            else:
                assert self.store.rate(user, *asked, key) == (answer, False)
            return
        old_value, old_moment, removed = self.ratings.get((user, movie), (None, 0, False))
        at = moment if moment is not None else max(self.now, old_moment if old_value is not None else 0)
        if old_value is None or at >= old_moment:
            self.ratings[user, movie] = (value, at, removed)
            self.versions[user] = self.versions.get(user, 0) + 1
        counting = self.ratings[user, movie]
        answer = StoredRating(user, movie, counting[0], counting[1], self.versions[user])
        assert self.store.rate(user, *asked, key) == (answer, True)
        if key is not None:
            self.answers[user, key] = (asked, answer)

    @rule(user=users, movie=movies)
    def delete(self, user: int, movie: int) -> None:
        value, moment, _ = self.ratings.get((user, movie), (None, 0, False))
        is_change = value is not None or (user, movie) not in self.ratings
        assert self.store.delete(user, movie) == is_change
        if is_change:
            self.ratings[user, movie] = (None, max(self.now, moment), True)
            self.versions[user] = self.versions.get(user, 0) + 1

    @rule(step=st.integers(-5, 5))
    def clock_moves(self, step: int) -> None:
        self.now += step

    @precondition(lambda self: self.ratings)
    @rule()
    def restart(self) -> None:
        self.store.close()
        self.open()

    @invariant()
    def tells_the_same(self) -> None:
        rows = [(user, movie, *row) for (user, movie), row in self.ratings.items()]
        assert exported(self.store) == sorted(rows, key=lambda row: (row[0], row[3], row[1]))
        for user in range(3):
            assert self.store.version(user) == self.versions.get(user, 0)
            expected = {movie: row[:2] for (who, movie), row in self.ratings.items() if who == user}
            assert kept(self.store, user) == {
                movie: row for movie, row in expected.items() if row[0] is not None
            }

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)


TestStoreAgainstDictionaries = StoreAgainstDictionaries.TestCase
TestStoreAgainstDictionaries.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
