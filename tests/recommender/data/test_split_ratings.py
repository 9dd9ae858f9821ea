import math
from collections import Counter
from fractions import Fraction

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.data.draw import ticket
from recommender.data.engine import EngineConfig, open_engine
from recommender.data.split_ratings import split_ratings
from recommender.data.splits import SplitConfig
from recommender.errors import DataError

SIZES = st.sampled_from([0.0, 0.1, 0.2, 0.25, 0.29, 0.5, 0.7, 0.99])
PARTS = ["train", "validation", "test"]
DAY = 86_400


@st.composite
def rating_rows(draw):
    pairs = draw(st.sets(st.tuples(st.integers(1, 4), st.integers(1, 60)), min_size=1, max_size=80))
    # Few different times, before and after 1970, so that there are ties.
    times = st.sampled_from([-DAY - 1, 0, 1, 5 * DAY - 1, 5 * DAY, 5 * DAY + 1, 900_000_000])
    return [(user, movie, draw(st.integers(1, 10)) / 2, draw(times)) for user, movie in sorted(pairs)]


@pytest.fixture(scope="module")
def split(ratings_arrow):
    """From rows to `{row: part}`; `parts` are those that the rows come with."""
    engines = {threads: open_engine(EngineConfig(threads=threads)) for threads in (1, 2)}

    def run(rows, config, seed=0, threads=1, parts=None):
        table = ratings_arrow(rows)
        engine = engines[threads]
        if parts is not None:
            table = table.append_column("part", pa.array(parts, pa.string()))
        engine.con.register("ratings", table)
        answer = split_ratings(engine.table("ratings"), config, seed).to_pyarrow().to_pylist()
        assert len(answer) == len(rows)
        return {
            tuple(row[name] for name in ("user_id", "movie_id", "rating", "timestamp")): row["part"]
            for row in answer
        }

    run.tickets = lambda rows, seed, within="user": _tickets(engines[1], ratings_arrow(rows), seed, within)
    yield run
    for engine in engines.values():
        engine.disconnect()


def _tickets(engine, table, seed, within="user"):
    engine.con.register("ratings", table)
    rows = engine.table("ratings")
    pair = (rows.user_id, rows.movie_id) if within == "user" else (rows.movie_id, rows.user_id)
    drawn = rows.select("user_id", "movie_id", ticket=ticket(*pair, seed))
    return {(row["user_id"], row["movie_id"]): row["ticket"] for row in drawn.to_pyarrow().to_pylist()}


def half_up(count, share):
    return math.floor(count * Fraction(str(share)) + Fraction(1, 2))


def within_users(rows, test, validation, key):
    return within(0, rows, test, validation, key)


def within(owner, rows, test, validation, key):
    expected = {}
    for one in {row[owner] for row in rows}:
        own = sorted((row for row in rows if row[owner] == one), key=key)
        n_test = min(half_up(len(own), test), len(own) - 1)
        n_validation = min(half_up(len(own) - n_test, validation), len(own) - n_test - 1)
        n_train = len(own) - n_test - n_validation
        parts = ["train"] * n_train + ["validation"] * n_validation + ["test"] * n_test
        expected |= dict(zip(own, parts, strict=True))
    return expected


@settings(max_examples=25, deadline=None)
@given(rows=rating_rows(), test=SIZES, validation=SIZES, seed=st.integers(0, 5))
def test_a_random_split_is_the_one_that_the_tickets_draw(split, rows, test, validation, seed):
    tickets = split.tickets(rows, seed)

    parts = split(rows, SplitConfig(test_size=test, validation_size=validation), seed)

    assert parts == within_users(rows, test, validation, key=lambda row: tickets[row[:2]])


@settings(max_examples=25, deadline=None)
@given(rows=rating_rows(), test=SIZES, validation=SIZES, seed=st.integers(0, 5))
def test_a_random_split_within_movies_takes_the_share_of_each_movie(split, rows, test, validation, seed):
    tickets = split.tickets(rows, seed, within="movie")
    config = SplitConfig(within="movie", test_size=test, validation_size=validation)

    parts = split(rows, config, seed)

    assert parts == within(1, rows, test, validation, key=lambda row: tickets[row[:2]])


@settings(max_examples=25, deadline=None)
@given(rows=rating_rows(), test=SIZES, validation=SIZES)
def test_each_users_last_ratings_are_kept_and_ties_go_by_movie(split, rows, test, validation):
    config = SplitConfig(strategy="time_user", test_size=test, validation_size=validation)

    assert split(rows, config) == within_users(rows, test, validation, key=lambda row: (row[3], row[1]))


@settings(max_examples=25, deadline=None)
@given(rows=rating_rows(), test=SIZES, validation=SIZES)
def test_the_newest_of_all_ratings_are_kept_and_a_second_stays_whole(split, rows, test, validation):
    config = SplitConfig(strategy="time_global", test_size=test, validation_size=validation)

    parts = split(rows, config)

    times = sorted(row[3] for row in rows)
    last_left = times[len(times) - min(half_up(len(times), test), len(times) - 1) - 1]
    times = [time for time in times if time <= last_left]
    last_train = times[len(times) - min(half_up(len(times), validation), len(times) - 1) - 1]
    assert parts == {
        row: "train" if row[3] <= last_train else "validation" if row[3] <= last_left else "test"
        for row in rows
    }


@settings(max_examples=25, deadline=None)
@given(rows=rating_rows(), test=st.sampled_from([0.0, 0.2]), validation=st.sampled_from([0.0, 0.1]))
def test_the_last_rating_is_kept_and_the_one_before_it_chooses(split, rows, test, validation):
    config = SplitConfig(strategy="leave_last_out", test_size=test, validation_size=validation)

    parts = split(rows, config)

    for user in {row[0] for row in rows}:
        own = sorted((row for row in rows if row[0] == user), key=lambda row: (row[3], row[1]))
        last = ["validation"] * (validation > 0) + ["test"] * (test > 0) if len(own) >= 3 else []
        assert [parts[row] for row in own] == ["train"] * (len(own) - len(last)) + last


@settings(max_examples=25, deadline=None)
@given(data=st.data(), rows=rating_rows(), test=st.sampled_from([0.0, 0.2]), validation=SIZES)
def test_provided_parts_stay_and_validation_is_drawn_where_there_is_none(split, data, rows, test, validation):
    kinds = data.draw(st.sampled_from([PARTS, ["train", "test"]]))
    given_parts = [data.draw(st.sampled_from(kinds)) for _ in rows]
    config = SplitConfig(strategy="provided", test_size=test, validation_size=validation)

    parts = split(rows, config, parts=given_parts)

    unwanted = {name for name, size in (("test", test), ("validation", validation)) if not size}
    expected = {
        row: "train" if part in unwanted else part for row, part in zip(rows, given_parts, strict=True)
    }
    if validation and "validation" not in expected.values():
        tickets = split.tickets(rows, 0)
        train = [row for row in rows if expected[row] == "train"]
        expected |= within_users(train, 0.0, validation, key=lambda row: tickets[row[:2]])
    assert parts == expected


ROWS = [(user, movie, 3.0, movie) for user in range(1, 201) for movie in range(1, 21)]


def test_sizes_within_a_user_are_exact(split):
    parts = split(ROWS, SplitConfig(), 42)

    # 20 ratings: 4 for the test; a tenth of the other 16 is 1.6, so 2 for validation; 14 to train on.
    for user in range(1, 201):
        own = Counter(part for row, part in parts.items() if row[0] == user)
        assert own == {"test": 4, "validation": 2, "train": 14}


def test_sizes_within_a_movie_are_exact(split):
    parts = split(ROWS, SplitConfig(within="movie", test_size=0.25), 42)

    # 200 ratings: 50 for the test; a tenth of the other 150 for validation; 135 to train on.
    for movie in range(1, 21):
        own = Counter(part for row, part in parts.items() if row[1] == movie)
        assert own == {"test": 50, "validation": 15, "train": 135}


def test_threads_and_the_order_of_rows_do_not_change_the_split_and_a_seed_does(split):
    one = split(ROWS, SplitConfig(), 1, threads=1)

    assert split(list(reversed(ROWS)), SplitConfig(), 1, threads=2) == one
    assert split(ROWS, SplitConfig(), 2) != one


@pytest.mark.parametrize("strategy", ["random", "time_user", "time_global", "leave_last_out"])
def test_a_single_rating_trains(split, strategy):
    config = SplitConfig(strategy=strategy, test_size=0.9, validation_size=0.9)

    assert split([(1, 1, 3.0, 1)], config) == {(1, 1, 3.0, 1): "train"}


@pytest.mark.parametrize("strategy", ["random", "time_user", "time_global", "leave_last_out"])
def test_sizes_of_zero_train_on_everything(split, strategy):
    config = SplitConfig(strategy=strategy, test_size=0.0, validation_size=0.0)

    assert set(split(ROWS, config).values()) == {"train"}


@pytest.mark.parametrize("strategy", ["time_user", "time_global", "leave_last_out"])
def test_going_by_time_without_timestamps_is_refused_with_a_remedy(split, strategy):
    with pytest.raises(DataError, match=rf"{strategy}.*2 ratings have no timestamp.*split.strategy=random"):
        split([(1, 1, 3.0, None), (1, 2, 3.0, None)], SplitConfig(strategy=strategy))


@pytest.mark.parametrize(("part", "named"), [("dev", "'dev' in 1 ratings"), (None, "None in 1 ratings")])
def test_a_part_that_is_none_is_refused(split, part, named):
    with pytest.raises(DataError, match=named):
        split([(1, 1, 3.0, 1), (1, 2, 3.0, 1)], SplitConfig(strategy="provided"), parts=["train", part])
