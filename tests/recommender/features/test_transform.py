import hashlib
import random
import shutil
import subprocess
import sys

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from recommender.data.engine import EngineConfig
from recommender.data.splits import SplitConfig, SplitManifest
from recommender.errors import DataError
from recommender.features import transform as transform_module
from recommender.features.transform import TransformConfig, transform
from recommender.features.vocabulary import Vocabulary

FILES = {
    "train_interactions.parquet",
    "validation_interactions.parquet",
    "test_interactions.parquet",
    "user_features.parquet",
    "movie_features.parquet",
    "movies.parquet",
    "vocabulary.json",
    "split.json",
}
INTERACTIONS = {
    "user_id": pa.int64(),
    "movie_id": pa.int64(),
    "rating": pa.float32(),
    "timestamp": pa.int64(),
    "user_index": pa.int32(),
    "movie_index": pa.int32(),
    "rating_normalized": pa.float32(),
    "day_of_week": pa.int8(),
    "hour_of_day": pa.int8(),
}
PARTS = ("train", "validation", "test")


def ratings_of(seed=0):
    draw = random.Random(seed)
    rows = [
        (user, movie, draw.randint(1, 10) / 2, draw.randint(900_000_000, 950_000_000))
        for user in range(5, 105)
        for movie in draw.sample(range(1, 61), draw.randint(1, 40))
    ]
    return sorted(rows, key=lambda row: (row[0], row[3], row[1]))


MOVIES = [(movie, [["Drama", "War", "Comedy"][movie % 3]], 1950 + movie) for movie in range(1, 71)]


@pytest.fixture
def examples(tmp_path, write_examples):
    return write_examples(tmp_path / "examples", ratings_of(), MOVIES)


def digests(folder):
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}


def interactions(folder, part):
    return pq.read_table(folder / f"{part}_interactions.parquet")


def test_the_parts_hold_every_rating_once_in_order(examples, tmp_path):
    manifest = transform(examples, TransformConfig(), 42, tmp_path / "out")

    assert {file.name for file in (tmp_path / "out").iterdir()} == FILES
    everything = []
    for part in PARTS:
        table = interactions(tmp_path / "out", part)
        assert dict(zip(table.schema.names, table.schema.types, strict=True)) == INTERACTIONS
        rows = table.to_pylist()
        keys = [(row["user_index"], row["timestamp"], row["movie_index"]) for row in rows]
        assert keys == sorted(keys)
        assert manifest.parts[part].n_ratings == len(rows)
        assert manifest.parts[part].n_users == len({row["user_id"] for row in rows})
        assert manifest.parts[part].n_movies == len({row["movie_id"] for row in rows})
        everything += [(row["user_id"], row["movie_id"], row["rating"], row["timestamp"]) for row in rows]
    assert sorted(everything) == sorted(ratings_of())


def test_positions_in_the_feature_tables_are_the_indexes(examples, tmp_path):
    transform(examples, TransformConfig(), 42, tmp_path / "out")

    users = pq.read_table(tmp_path / "out" / "user_features.parquet").to_pydict()
    movies = pq.read_table(tmp_path / "out" / "movie_features.parquet").to_pydict()
    assert users["user_index"] == list(range(100))
    assert users["user_id"] == list(range(5, 105))
    assert movies["movie_index"] == list(range(70))
    assert movies["movie_id"] == list(range(1, 71))
    for row in interactions(tmp_path / "out", "test").to_pylist():
        assert users["user_id"][row["user_index"]] == row["user_id"]
        assert movies["movie_id"][row["movie_index"]] == row["movie_id"]
    vocabulary = Vocabulary.read(tmp_path / "out")
    assert vocabulary == Vocabulary(genres=("Comedy", "Drama", "War"), n_users=100, n_movies=70)


def test_the_same_seed_gives_the_same_bytes_on_any_number_of_threads(examples, tmp_path):
    one = transform(examples, TransformConfig(), 42, tmp_path / "one", EngineConfig(threads=1))
    two = transform(
        examples, TransformConfig(), 42, tmp_path / "two", EngineConfig(memory_limit="500MB", threads=2)
    )
    other = transform(examples, TransformConfig(), 43, tmp_path / "other")

    assert one == two
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert other.parts["test"].sha256 != one.parts["test"].sha256
    assert SplitManifest.model_validate_json((tmp_path / "one" / "split.json").read_bytes()) == one


def test_ratings_kept_for_validation_and_test_change_no_feature(examples, tmp_path, write_examples):
    transform(examples, TransformConfig(), 42, tmp_path / "before")
    kept = {
        (row["user_id"], row["movie_id"])
        for part in ("validation", "test")
        for row in interactions(tmp_path / "before", part).to_pylist()
    }
    changed = [
        # The draw goes by ids, so other ratings at other times leave the parts as they are.
        (user, movie, 5.5 - rating, timestamp + 60_000_000) if (user, movie) in kept else row
        for row in ratings_of()
        for user, movie, rating, timestamp in [row]
    ]

    transform(
        write_examples(tmp_path / "changed", changed, MOVIES), TransformConfig(), 42, tmp_path / "after"
    )

    before, after = digests(tmp_path / "before"), digests(tmp_path / "after")
    same = {name for name in FILES if before[name] == after[name]}
    assert same == FILES - {"validation_interactions.parquet", "test_interactions.parquet", "split.json"}


def test_training_on_everything_writes_empty_parts_of_the_same_shape(examples, tmp_path):
    config = TransformConfig(split=SplitConfig(test_size=0.0, validation_size=0.0))

    manifest = transform(examples, config, 42, tmp_path / "out")

    for part in ("validation", "test"):
        table = interactions(tmp_path / "out", part)
        assert (table.num_rows, table.schema.names) == (0, list(INTERACTIONS))
    assert manifest.parts["train"].n_ratings == len(ratings_of())


def test_filters_are_counted_in_the_manifest(examples, tmp_path):
    config = TransformConfig(split=SplitConfig(min_rating=3.0, min_user_ratings=10, k_core=8))

    manifest = transform(examples, config, 42, tmp_path / "out")

    assert [dropped.filter for dropped in manifest.dropped] == ["min_rating", "min_user_ratings", "k_core"]
    kept = sum(part.n_ratings for part in manifest.parts.values())
    assert kept + sum(dropped.n_ratings for dropped in manifest.dropped) == len(ratings_of())
    for part in PARTS:
        assert min(interactions(tmp_path / "out", part)["rating"].to_pylist()) >= 3.0


def test_strategies_name_their_protocol(examples, tmp_path):
    config = TransformConfig(split=SplitConfig(strategy="time_global"))

    manifest = transform(examples, config, 42, tmp_path / "out")

    assert (manifest.protocol, manifest.strategy) == ("P-time-global", "time_global")
    newest_train = max(interactions(tmp_path / "out", "train")["timestamp"].to_pylist())
    assert newest_train < min(interactions(tmp_path / "out", "test")["timestamp"].to_pylist())


def test_users_and_movies_of_a_provided_test_part_may_be_unknown(examples, tmp_path):
    ratings = pq.read_table(examples / "ratings.parquet")
    parts = pc.if_else(pc.less(ratings["user_id"], 10), "test", "train")
    pq.write_table(ratings.append_column("part", parts), examples / "ratings.parquet")
    config = TransformConfig(split=SplitConfig(strategy="provided"))

    manifest = transform(examples, config, 42, tmp_path / "out")

    rows = interactions(tmp_path / "out", "test").to_pylist()
    assert {(row["user_id"], row["user_index"]) for row in rows} == {(user, -1) for user in range(5, 10)}
    assert [row["timestamp"] for row in rows] == sorted(row["timestamp"] for row in rows)
    assert (manifest.protocol, manifest.parts["test"].n_users) == ("P-provided", 5)
    assert manifest.parts["validation"].n_ratings > 0


def test_provided_parts_that_are_not_there_are_an_error(examples, tmp_path):
    config = TransformConfig(split=SplitConfig(strategy="provided"))

    with pytest.raises(DataError, match=r"ratings\.parquet: no column part"):
        transform(examples, config, 42, tmp_path / "out")


def test_ratings_without_timestamps_are_noted(tmp_path, write_examples):
    rows = [(user, movie, rating, None) for user, movie, rating, _ in ratings_of()]
    examples = write_examples(tmp_path / "examples", rows, MOVIES)

    manifest = transform(examples, TransformConfig(), 42, tmp_path / "out")

    (note,) = SplitManifest.read(tmp_path / "out").notes
    assert note.startswith(f"{len(rows):,} ratings have no timestamp")
    assert manifest.notes == (note,)
    assert set(interactions(tmp_path / "out", "train")["timestamp"].to_pylist()) == {0}


def test_nothing_is_left_behind_after_a_failure(examples, tmp_path, monkeypatch):
    transform(examples, TransformConfig(), 42, tmp_path / "out")
    before = digests(tmp_path / "out")

    def fail(*_):
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(transform_module, "movie_features", fail)
    with pytest.raises(RuntimeError):
        transform(examples, TransformConfig(), 43, tmp_path / "out")

    assert digests(tmp_path / "out") == before
    assert {file.name for file in tmp_path.iterdir()} == {"examples", "out"}


def test_an_older_result_is_replaced_whole(examples, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "stale.parquet").write_text("old")

    transform(examples, TransformConfig(), 42, tmp_path / "out")

    assert {file.name for file in (tmp_path / "out").iterdir()} == FILES


def test_a_path_with_spaces_and_an_apostrophe_works(examples, tmp_path):
    folder = tmp_path / "my father's films"
    shutil.copytree(examples, folder)

    assert transform(folder, TransformConfig(), 42, folder / "a b").parts["train"].n_ratings > 0


def test_filters_that_leave_nothing_are_an_error(examples, tmp_path):
    with pytest.raises(DataError, match="min_rating"):
        transform(examples, TransformConfig(split=SplitConfig(min_rating=9.0)), 42, tmp_path / "out")
    assert not (tmp_path / "out").exists()


FULL_DISC = """
import resource, signal, sys
from pathlib import Path
from recommender.errors import DataError
from recommender.features.transform import TransformConfig, transform
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
try:
    transform(Path(sys.argv[1]), TransformConfig(), 1, Path(sys.argv[2]))
except DataError as error:
    sys.exit(f"DataError: {error}")
"""


def test_a_disc_that_is_full_is_told_and_nothing_half_written_stays(tmp_path, write_examples):
    """A limit on the size of files stands in for the end of a disc."""
    rows = [(user, 10 + user % 7, 1.0 + user % 5, 1_000_000_000 + user * user) for user in range(20_000)]
    examples = write_examples(
        tmp_path / "examples", rows, [(10 + movie, ["Drama"], 1999) for movie in range(7)]
    )
    output = tmp_path / "there/transformed"

    command = [sys.executable, "-c", FULL_DISC, str(examples), str(output)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert f"DataError: The tables for {output} cannot be written: " in ended.stderr
    assert "there is room" in ended.stderr
    assert list(output.parent.iterdir()) == []
