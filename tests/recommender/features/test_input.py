"""What the model reads, from memory or from disk: the same users and ratings, well mixed, shared out."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.errors import DataError, TrainingError
from recommender.features.configuration import InputConfig
from recommender.features.input import rating_batches, user_batches
from recommender.features.shard import Shard
from recommender.features.transformed_examples import TransformedExamples

MEMORY = InputConfig(mode="memory")
STREAM = InputConfig(mode="stream", chunk_ratings=4, shuffle_chunks=2)
MODES = pytest.mark.parametrize("config", [MEMORY, STREAM], ids=["memory", "stream"])
REPOSITORY = Path(__file__).parents[3]


def write(folder, columns, *, n_users, row_group_size, part="train"):
    """`{part}_interactions.parquet` of `user_index, movie_index, rating, timestamp`."""
    names = ("user_index", "movie_index", "rating", "timestamp")
    types = (np.int32, np.int32, np.float32, np.int64)
    arrays = [np.asarray(column, kind) for column, kind in zip(columns, types, strict=True)]
    pq.write_table(
        pa.table(arrays, names=names),
        folder / f"{part}_interactions.parquet",
        row_group_size=row_group_size,
    )
    pq.write_table(pa.table({"user_id": np.arange(n_users)}), folder / "user_features.parquet")
    pq.write_table(pa.table({"movie_id": np.arange(20)}), folder / "movie_features.parquet")
    return TransformedExamples(folder)


def write_rows(folder, rows, *, n_users, row_group_size=3, part="train"):
    columns = [list(column) for column in zip(*rows, strict=True)] or [[]] * 4
    return write(folder, columns, n_users=n_users, row_group_size=row_group_size, part=part)


def histories(batch):
    pairs = zip(batch["history"].to_list(), batch["history_rating"].to_list(), strict=True)
    return [tuple(zip(movies, ratings, strict=True)) for movies, ratings in pairs]


def users_of(batches):
    return [
        (int(user), history)
        for batch in batches
        for user, history in zip(batch["user_index"], histories(batch), strict=True)
    ]


def ratings_of(batches):
    return [
        (int(user), int(movie), float(rating), history)
        for batch in batches
        for user, movie, rating, history in zip(
            batch["user_index"], batch["movie_index"], batch["rating"], histories(batch), strict=True
        )
    ]


@pytest.fixture(scope="module")
def hundred_users(tmp_path_factory):
    """Users 0 to 99 with 2 ratings each."""
    rows = [(user, movie, 3.0, movie) for user in range(100) for movie in (user % 7, user % 7 + 5)]
    return write_rows(tmp_path_factory.mktemp("hundred"), rows, n_users=100, row_group_size=30)


pairs = st.sets(st.tuples(st.integers(-1, 5), st.integers(-1, 6)), min_size=1, max_size=30)
values = st.tuples(st.integers(1, 5).map(float), st.integers(0, 3), st.sampled_from(["train", "validation"]))


@settings(deadline=None, max_examples=15)
@given(
    data=st.data(),
    row_group_size=st.integers(1, 4),
    chunk_ratings=st.integers(1, 8),
    shuffle_chunks=st.integers(1, 3),
    batch_size=st.integers(1, 5),
)
def test_memory_and_stream_give_what_plain_python_gives(
    data, row_group_size, chunk_ratings, shuffle_chunks, batch_size, tmp_path_factory
):
    drawn = {pair: data.draw(values) for pair in sorted(data.draw(pairs))}
    known = {(user, movie): value for (user, movie), value in drawn.items() if user >= 0 <= movie}
    folder = tmp_path_factory.mktemp("drawn")
    for part in ("train", "validation"):
        rows = [
            (user, movie, rating, time)
            for (user, movie), (rating, time, where) in drawn.items()
            if where == part
        ]
        rows.sort(key=lambda row: (row[0], row[3], row[1]))
        examples = write_rows(folder, rows, n_users=8, row_group_size=row_group_size, part=part)

    expected = {}
    for (user, movie), (rating, _, _) in sorted(known.items(), key=lambda entry: (entry[1][1], entry[0][1])):
        expected.setdefault(user, []).append((movie, rating))

    parts = ("train", "validation")
    stream = InputConfig(mode="stream", chunk_ratings=chunk_ratings, shuffle_chunks=shuffle_chunks)
    for config in (MEMORY, stream):
        if not known:
            with pytest.raises(DataError, match=r"train_interactions.*no ratings of users and movies"):
                user_batches(examples, parts, 1, config, seed=0)
            continue
        users = users_of(user_batches(examples, parts, batch_size, config, seed=0))
        whole = {(user, tuple(history)) for user, history in expected.items()}
        assert set(users) <= whole
        size = min(batch_size, len(whole))
        assert len(users) == len(set(users)) == len(whole) // size * size
        ratings = ratings_of(
            rating_batches(examples, parts, batch_size, config, seed=0, drop_remainder=False)
        )
        assert sorted(ratings) == sorted(
            (user, movie, rating, tuple(other for other in history if other[0] != movie))
            for user, history in expected.items()
            for movie, rating in history
        )


@pytest.mark.parametrize("batches", [user_batches, rating_batches])
def test_both_modes_give_tensors_of_one_kind_and_know_how_many(batches, hundred_users):
    memory, stream = (batches(hundred_users, ["train"], 9, config, seed=0) for config in (MEMORY, STREAM))
    assert memory.element_spec == stream.element_spec
    expected = {user_batches: 100 // 9, rating_batches: 200 // 9}[batches]
    assert memory.cardinality() == stream.cardinality() == expected
    assert len(list(memory)) == len(list(stream)) == expected


@MODES
def test_ratings_alone_with_the_last_batch_are_the_whole_part(config, hundred_users):
    batches = list(
        rating_batches(hundred_users, ["train"], 90, config, seed=0, history=False, drop_remainder=False)
    )
    assert [len(batch["rating"]) for batch in batches] == [90, 90, 20]
    assert set(batches[0]) == {"user_index", "movie_index", "rating"}
    seen = Counter(int(user) for batch in batches for user in batch["user_index"])
    assert seen == dict.fromkeys(range(100), 2)


@MODES
def test_an_epoch_is_a_permutation_and_the_next_another(config, hundred_users):
    batches = user_batches(hundred_users, ["train"], 10, config, seed=0)
    first, second = ([user for user, _ in users_of(batches)] for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second


@MODES
def test_a_batch_larger_than_the_data_becomes_one_whole_batch(config, tmp_path):
    one_user = write_rows(tmp_path, [(2, 1, 4.0, 1), (2, 3, 5.0, 2)], n_users=4)
    (users,) = user_batches(one_user, ["train"], 128, config, seed=0)
    assert users["user_index"].numpy().tolist() == [2]
    (ratings,) = rating_batches(one_user, ["train"], 128, config, seed=0)
    assert sorted(ratings["history"].to_list()) == [[1], [3]]


@pytest.mark.parametrize("shape", ["users", "ratings"])
@MODES
def test_workers_share_everything_and_take_equally_many_steps(config, shape, hundred_users):
    batches = {"users": user_batches, "ratings": rating_batches}[shape]
    workers = [
        [
            batch["user_index"].numpy()
            for batch in batches(hundred_users, ["train"], 5, config, 0, Shard(i, 4))
        ]
        for i in range(4)
    ]
    assert len({len(worker) for worker in workers}) == 1
    users = [set(np.concatenate(worker).tolist()) for worker in workers]
    assert sum(map(len, users)) == len(set.union(*users)) == 100


@MODES
def test_a_larger_share_waits_for_nobody(config, tmp_path):
    # 3 + 2 users for 2 workers: 2 steps each, and the third user of the first worker has its turn.
    examples = write_rows(tmp_path, [(user, 1, 3.0, 1) for user in range(5)], n_users=5)
    first, second = (user_batches(examples, ["train"], 1, config, 0, Shard(i, 2)) for i in range(2))
    epochs = [[user for user, _ in users_of(first)] for _ in range(12)]
    assert {len(epoch) for epoch in epochs} == {2}
    assert set.union(*map(set, epochs)) == {0, 1, 2}
    assert sorted(user for user, _ in users_of(second)) == [3, 4]


@MODES
def test_more_workers_than_users_is_an_error(config, tmp_path):
    examples = write_rows(tmp_path, [(0, 1, 3.0, 1)], n_users=1)
    with pytest.raises(TrainingError, match="fewer workers"):
        user_batches(examples, ["train"], 1, config, 0, Shard(1, 2))


@MODES
def test_a_damaged_part_is_named(config, tmp_path):
    examples = write_rows(tmp_path, [(0, 1, 3.0, 1)], n_users=1)
    file = tmp_path / "train_interactions.parquet"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"train_interactions\.parquet.*Run the Transform step again"):
        rating_batches(examples, ["train"], 1, config, 0)


def test_ratings_are_streamed_when_there_are_more_than_memory_may_hold():
    assert not InputConfig(memory_ratings=200).streams(200)
    assert InputConfig(memory_ratings=200).streams(201)
    assert InputConfig(mode="stream").streams(1)
    assert not InputConfig(mode="memory", memory_ratings=0).streams(1)


ORDER = """
import json, sys
from pathlib import Path
import recommender
from recommender.features.configuration import InputConfig
from recommender.features.input import user_batches
from recommender.features.transformed_examples import TransformedExamples

config = InputConfig.model_validate_json(sys.argv[2])
batches = user_batches(TransformedExamples(Path(sys.argv[1])), ["train"], 10, config, seed=5)
print(json.dumps([[batch["user_index"].numpy().tolist() for batch in batches] for _ in range(2)]))
"""


@MODES
def test_one_seed_gives_the_same_batches_in_a_fresh_process(config, hundred_users):
    def order(seed):
        batches = user_batches(hundred_users, ["train"], 10, config, seed)
        return [[batch["user_index"].numpy().tolist() for batch in batches] for _ in range(2)]

    elsewhere = subprocess.run(
        [sys.executable, "-c", ORDER, str(hundred_users.folder), config.model_dump_json()],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(elsewhere.stdout) == order(5)
    assert order(5) != order(6)


def test_a_streamed_batch_mixes_users_from_all_over_the_file(tmp_path):
    n_users = 6_400
    user = np.repeat(np.arange(n_users), 5)
    columns = (user, np.tile(np.arange(5), n_users), np.ones(len(user)), np.zeros(len(user)))
    examples = write(tmp_path, columns, n_users=n_users, row_group_size=500)
    # 64 chunks of 100 users, of which 16 at a time are mixed.
    config = InputConfig(mode="stream", chunk_ratings=500, shuffle_chunks=16)
    for seed in range(3):
        batches = list(user_batches(examples, ["train"], 100, config, seed))
        order = np.concatenate([batch["user_index"] for batch in batches])
        # Place in the file against place in the epoch; 0.125 is one standard deviation for 64 chunks.
        assert abs(np.corrcoef(order, np.arange(n_users))[0, 1]) < 0.25
        # Whole users: how often do neighbours in the file stay neighbours in the epoch?
        assert np.mean(np.diff(order) == 1) < 0.01
        for batch in batches:
            counts = np.unique(batch["user_index"] // 100, return_counts=True)[1]
            assert len(counts) >= 12
            assert counts.max() <= 25


GROWTH = """
import sys
from pathlib import Path
import psutil
import recommender
from recommender.features.configuration import InputConfig
from recommender.features.input import user_batches
from recommender.features.transformed_examples import TransformedExamples

config = InputConfig(mode="stream", chunk_ratings=20_000, shuffle_chunks=4)
for folder in sys.argv[1:]:
    most = 0
    for batch in user_batches(TransformedExamples(Path(folder)), ["train"], 128, config, seed=0):
        most = max(most, psutil.Process().memory_info().rss)
    print(most)
"""


def test_ten_times_the_ratings_take_no_more_memory_to_stream(tmp_path):
    folders = []
    for n_users in (8_000, 80_000):
        folder = tmp_path / str(n_users)
        folder.mkdir()
        user = np.repeat(np.arange(n_users), 100)
        columns = (user, np.tile(np.arange(100), n_users), np.ones(len(user)), np.arange(len(user)))
        write(folder, columns, n_users=n_users, row_group_size=20_000)
        folders.append(str(folder))
    measured = subprocess.run(
        [sys.executable, "-c", GROWTH, *folders], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    small, large = map(int, measured.stdout.split())
    # Four columns of the 8,000,000 ratings take 160 MB, without histories or a shuffle buffer.
    assert large - small < 80e6
