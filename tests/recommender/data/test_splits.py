import hashlib
import math
from collections import Counter
from fractions import Fraction

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from recommender.data.engine import EngineConfig, open_engine
from recommender.data.splits import SplitConfig, content_sha256, dropped_ratings, split_ratings

SIZES = st.sampled_from([0.0, 0.1, 0.2, 0.25, 0.29, 0.5, 0.7, 0.99])


@st.composite
def rating_rows(draw):
    pairs = draw(st.sets(st.tuples(st.integers(1, 4), st.integers(1, 60)), min_size=1, max_size=80))
    ratings = st.integers(1, 10).map(lambda half: half / 2)
    return [(user, movie, draw(ratings), user * 1000 + movie) for user, movie in sorted(pairs)]


def parts_of(rows, config, seed, ratings_arrow, threads=None):
    engine = open_engine(EngineConfig(threads=threads))
    try:
        engine.con.register("ratings", ratings_arrow(rows))
        answer = split_ratings(engine.table("ratings"), config, seed).to_pyarrow().to_pylist()
    finally:
        engine.disconnect()
    return {(row["user_id"], row["movie_id"], row["rating"], row["timestamp"]): row["part"] for row in answer}


def dropped_of(rows, config, ratings_arrow):
    engine = open_engine()
    try:
        engine.con.register("ratings", ratings_arrow(rows))
        return dropped_ratings(engine.table("ratings"), config)
    finally:
        engine.disconnect()


def half_up(count, share):
    return math.floor(count * Fraction(str(share)) + Fraction(1, 2))


@settings(max_examples=25, deadline=None)
@given(rows=rating_rows(), test=SIZES, validation=SIZES, seed=st.integers(0, 5))
def test_the_split_is_the_one_that_md5_draws(ratings_arrow, rows, test, validation, seed):
    parts = parts_of(rows, SplitConfig(test_size=test, validation_size=validation), seed, ratings_arrow)

    expected = {}
    for user in {row[0] for row in rows}:
        own = [row for row in rows if row[0] == user]
        own.sort(key=lambda row: hashlib.md5(f"{seed}:{row[0]}:{row[1]}".encode()).hexdigest())
        n_test = min(half_up(len(own), test), len(own) - 1)
        n_validation = min(half_up(len(own) - n_test, validation), len(own) - n_test - 1)
        for place, row in enumerate(own):
            expected[row] = (
                "test" if place < n_test else "validation" if place < n_test + n_validation else "train"
            )
    assert parts == expected


ROWS = [(user, movie, 3.0, movie) for user in range(1, 201) for movie in range(1, 21)]


def test_sizes_within_a_user_are_exact(ratings_arrow):
    parts = parts_of(ROWS, SplitConfig(), 42, ratings_arrow)

    # 20 ratings: 4 for the test; a tenth of the other 16 is 1.6, so 2 for validation; 14 to train on.
    for user in range(1, 201):
        own = Counter(part for row, part in parts.items() if row[0] == user)
        assert own == {"test": 4, "validation": 2, "train": 14}


def test_threads_do_not_change_the_split_and_a_seed_does(ratings_arrow):
    one = parts_of(ROWS, SplitConfig(), 1, ratings_arrow, threads=1)

    assert parts_of(list(reversed(ROWS)), SplitConfig(), 1, ratings_arrow, threads=2) == one
    assert parts_of(ROWS, SplitConfig(), 2, ratings_arrow) != one


def test_a_user_with_one_rating_trains(ratings_arrow):
    assert set(parts_of([(1, 1, 3.0, 1)], SplitConfig(test_size=0.9), 0, ratings_arrow).values()) == {"train"}


def test_filters_drop_low_ratings_first_and_quiet_users_then(ratings_arrow):
    rows = [(1, 1, 5.0, 1), (1, 2, 4.0, 2), (1, 3, 1.0, 3), (2, 1, 5.0, 1), (2, 2, 2.0, 2), (3, 1, 1.0, 1)]
    config = SplitConfig(min_rating=4.0, min_user_ratings=2)

    assert set(parts_of(rows, config, 0, ratings_arrow)) == {rows[0], rows[1]}
    low, quiet = dropped_of(rows, config, ratings_arrow)
    assert (low.filter, low.value, low.n_ratings, low.n_users) == ("min_rating", 4.0, 3, 1)
    assert (quiet.filter, quiet.value, quiet.n_ratings, quiet.n_users) == ("min_user_ratings", 2, 1, 1)


def test_without_filters_nothing_is_reported_as_dropped(ratings_arrow):
    assert dropped_of(ROWS, SplitConfig(), ratings_arrow) == ()


def test_the_fingerprint_depends_on_values_and_not_on_batches(ratings_arrow):
    table = ratings_arrow(ROWS)
    other = table.set_column(2, "rating", pa.array([2.5, *[3.0] * (len(ROWS) - 1)], pa.float32()))

    whole = content_sha256(table.to_batches())

    assert content_sha256(table.to_batches(max_chunksize=7)) == whole
    assert content_sha256(other.to_batches()) != whole


@pytest.mark.parametrize(
    "bad", [{"test_size": 1.0}, {"validation_size": -0.1}, {"min_user_ratings": 0}, {"strategy": "x"}]
)
def test_a_split_that_cannot_be_is_refused(bad):
    with pytest.raises(ValidationError):
        SplitConfig.from_mapping(bad)
