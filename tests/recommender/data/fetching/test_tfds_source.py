import csv
import io
import json
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recommender.data.fetching.tfds_source import export_prepared, prepared_fingerprint
from recommender.errors import DataError

ROOT = Path(__file__).parents[4]
ARCHIVE = Path(__file__).parents[5] / "shared" / "data" / "ml-latest-small.zip"

RATINGS = "movielens/latest-small-ratings/0.1.1"
MOVIES = "movielens/latest-small-movies/0.1.1"
SHARD = "movielens-train.tfrecord-00000-of-00001"


def advised_command(error: DataError) -> list[str]:
    """The command that an error tells to run, for this interpreter."""
    (line,) = [line for line in str(error).splitlines() if line.startswith("  python ")]
    return [sys.executable, *shlex.split(line)[1:]]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """latest-small, prepared by tensorflow-datasets as the error about its absence advises."""
    if not ARCHIVE.is_file():
        pytest.skip("../shared/data/ml-latest-small.zip is absent")
    data_dir = tmp_path_factory.mktemp("tensorflow datasets")
    (data_dir / "downloads" / "manual").mkdir(parents=True)
    shutil.copy(ARCHIVE, data_dir / "downloads" / "manual")
    with pytest.raises(DataError) as absence:
        export_prepared("latest-small", data_dir, data_dir / "out")
    subprocess.run(advised_command(absence.value), timeout=300, check=True, capture_output=True)
    return data_dir


@pytest.fixture(scope="module")
def exported(prepared, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "out"
    export_prepared("latest-small", prepared, folder)
    return folder


@pytest.fixture
def copied(prepared, tmp_path) -> Path:
    """A copy that a test may damage."""
    shutil.copytree(prepared / "movielens", tmp_path / "copied" / "movielens")
    return tmp_path / "copied"


def rows_of_archive(name: str) -> list[dict[str, str]]:
    with zipfile.ZipFile(ARCHIVE) as archive, archive.open(f"ml-latest-small/{name}") as file:
        return list(csv.DictReader(io.TextIOWrapper(file, "utf-8")))


def set_split(folder: Path, shard_lengths: list[int]) -> None:
    """Make `dataset_info.json` tell of shards of these numbers of rows."""
    info = json.loads((folder / "dataset_info.json").read_text())
    info["splits"][0]["shardLengths"] = [str(length) for length in shard_lengths]
    (folder / "dataset_info.json").write_text(json.dumps(info))


def write_movies(folder: Path, movies: list[tuple[str, str, list[int]]]) -> None:
    """Replace the movies in a prepared folder: id, title, genre labels."""
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(folder / SHARD)) as writer:
        for movie_id, title, labels in movies:
            texts = {
                name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))
                for name, text in (("movie_id", movie_id), ("movie_title", title))
            }
            genres = tf.train.Feature(int64_list=tf.train.Int64List(value=labels))
            features = tf.train.Features(feature={**texts, "movie_genres": genres})
            writer.write(tf.train.Example(features=features).SerializeToString())
    set_split(folder, [len(movies)])


def test_ratings_are_those_of_the_archive(exported):
    table = pq.read_table(exported / "ratings.parquet")
    assert table.schema == pa.schema(
        {"user_id": pa.int64(), "movie_id": pa.int64(), "rating": pa.float32(), "timestamp": pa.int64()}
    )
    assert table.num_rows == 100_836
    assert len(table["user_id"].unique()) == 610
    assert Counter(zip(*(table[name].to_pylist() for name in table.column_names), strict=True)) == Counter(
        (int(row["userId"]), int(row["movieId"]), float(row["rating"]), int(row["timestamp"]))
        for row in rows_of_archive("ratings.csv")
    )


def test_movies_are_those_of_the_archive(exported):
    table = pq.read_table(exported / "movies.parquet")
    assert table.schema == pa.schema(
        {"movie_id": pa.int64(), "title": pa.string(), "genres": pa.list_(pa.string())}
    )
    rows = rows_of_archive("movies.csv")
    assert table.num_rows == len(rows) == 9_742
    assert {row["movie_id"]: (row["title"], row["genres"]) for row in table.to_pylist()} == {
        int(row["movieId"]): (
            row["title"],
            [] if row["genres"] == "(no genres listed)" else row["genres"].split("|"),
        )
        for row in rows
    }


def test_the_same_data_set_gives_the_same_bytes(prepared, exported, tmp_path):
    export_prepared("latest-small", prepared, tmp_path / "again")
    for name in ("ratings.parquet", "movies.parquet"):
        assert (tmp_path / "again" / name).read_bytes() == (exported / name).read_bytes()


def test_all_shards_are_read(copied, tmp_path):
    folder = copied / RATINGS
    (folder / SHARD).rename(folder / "movielens-train.tfrecord-00000-of-00002")
    shutil.copy(
        folder / "movielens-train.tfrecord-00000-of-00002", folder / "movielens-train.tfrecord-00001-of-00002"
    )
    set_split(folder, [100_836, 100_836])
    export_prepared("latest-small", copied, tmp_path / "out")
    with pq.ParquetFile(tmp_path / "out" / "ratings.parquet") as file:
        assert file.metadata.num_rows == 2 * 100_836
        assert file.metadata.num_row_groups == 2


def test_labels_for_no_genre_are_dropped(copied, tmp_path):
    unknown, none_listed, action, western = 17, 20, 0, 19
    write_movies(
        copied / MOVIES,
        [
            ("1", "Both", [western, action]),
            ("2", "Unknown", [unknown]),
            ("3", "None", [none_listed]),
            ("4", "Empty", []),
            ("5", "Part", [unknown, western]),
        ],
    )
    export_prepared("latest-small", copied, tmp_path / "out")
    genres = pq.read_table(tmp_path / "out" / "movies.parquet")["genres"].to_pylist()
    assert genres == [["Western", "Action"], [], [], [], ["Western"]]


def test_the_folder_is_that_of_tensorflow_datasets_by_default(prepared, exported, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    assert prepared_fingerprint("latest-small", None) == prepared_fingerprint("latest-small", prepared)
    monkeypatch.delenv("TFDS_DATA_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(DataError) as absence:
        export_prepared("latest-small", None, tmp_path / "out")
    assert f"in {tmp_path / 'tensorflow_datasets'}." in str(absence.value)


@pytest.mark.parametrize("size", ["10m", "32m", "latest", ""])
def test_a_size_that_tensorflow_datasets_lacks_is_refused(size, tmp_path):
    expected = rf"no MovieLens {size}, only 100k.*source=movielens"
    with pytest.raises(DataError, match=expected):
        export_prepared(size, tmp_path, tmp_path / "out")
    with pytest.raises(DataError, match=expected):
        prepared_fingerprint(size, tmp_path)


def test_what_is_not_prepared_is_named(tmp_path):
    (tmp_path / "movielens" / "25m-ratings" / "incomplete.ABCDEF_0.1.1").mkdir(parents=True)
    expected = r"No movielens/25m-ratings and no movielens/25m-movies prepared .*TFDS_DATA_DIR"
    with pytest.raises(DataError, match=expected) as absence:
        prepared_fingerprint("25m", tmp_path)
    code = advised_command(absence.value)[-1]
    assert f'tfds.load("movielens/25m-movies", data_dir="{tmp_path}")' in code
    assert str(tmp_path / "downloads" / "manual" / "ml-25m.zip") in str(absence.value)


def test_another_version_is_refused(copied, tmp_path):
    (copied / MOVIES).rename((copied / MOVIES).with_name("0.1.0"))
    expected = r"No movielens/latest-small-movies \(only version 0\.1\.0\) prepared in version 0\.1\.1"
    with pytest.raises(DataError, match=expected):
        export_prepared("latest-small", copied, tmp_path / "out")


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def alter(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[5_000] ^= 1
    file.write_bytes(content)


def empty(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "name", "reason"),
    [
        (cut, SHARD, "truncated record at"),
        (alter, SHARD, "corrupted record at"),
        (empty, SHARD, "0 rows where its dataset_info.json tells of 9,742"),
        (Path.unlink, SHARD, "No such file"),
        (Path.unlink, "movie_genres.labels.txt", "No such file"),
        (cut, "movie_genres.labels.txt", "out of bounds"),
        (cut, "dataset_info.json", "Failed to load JSON"),
        (empty, "dataset_info.json", "Failed to load JSON"),
        (cut, "features.json", "line"),
        (Path.unlink, "features.json", "Cannot restore"),
    ],
)
def test_damage_is_told_and_leaves_nothing_behind(damage, name, reason, copied, tmp_path):
    damage(copied / MOVIES / name)
    with pytest.raises(DataError, match="is damaged or incomplete") as told:
        export_prepared("latest-small", copied, tmp_path / "out")
    assert str(told.value).startswith(str(copied / MOVIES))
    assert reason in str(told.value)
    assert "Remove that folder and prepare it again" in str(told.value)
    assert [path.name for path in tmp_path.iterdir()] == ["copied"]


def test_an_id_that_is_no_whole_number_is_told(copied, tmp_path):
    write_movies(copied / MOVIES, [("1", "One", []), ("tt2", "Two", [])])
    with pytest.raises(DataError, match=r"latest-small-movies.*movie_id is no whole number: .*'tt2'"):
        export_prepared("latest-small", copied, tmp_path / "out")


def test_another_format_is_refused(copied, tmp_path):
    info = copied / MOVIES / "dataset_info.json"
    info.write_text(info.read_text().replace('"tfrecord"', '"array_record"'))
    with pytest.raises(DataError, match="is in the format array_record, only tfrecord is read"):
        export_prepared("latest-small", copied, tmp_path / "out")


def test_a_failed_export_keeps_the_earlier_one(copied, exported, tmp_path):
    shutil.copytree(exported, tmp_path / "out")
    cut(copied / MOVIES / SHARD)
    with pytest.raises(DataError):
        export_prepared("latest-small", copied, tmp_path / "out")
    assert pq.read_metadata(tmp_path / "out" / "ratings.parquet").num_rows == 100_836
    assert pq.read_metadata(tmp_path / "out" / "movies.parquet").num_rows == 9_742


def test_the_fingerprint_is_that_of_the_content(prepared, copied):
    before = prepared_fingerprint("latest-small", copied)
    assert before == prepared_fingerprint("latest-small", prepared)
    with (copied / RATINGS / SHARD).open("ab") as file:
        file.write(b"more")
    longer = prepared_fingerprint("latest-small", copied)
    set_split(copied / RATINGS, [100_837])
    assert len({before, longer, prepared_fingerprint("latest-small", copied)}) == 3


def test_the_fingerprint_does_without_tensorflow(prepared):
    script = (
        "import sys; from pathlib import Path\n"
        "from recommender.data.fetching.tfds_source import prepared_fingerprint\n"
        "prepared_fingerprint('latest-small', Path(sys.argv[1]))\n"
        "slow = {'tensorflow', 'tensorflow_datasets'} & set(sys.modules)\n"
        "assert not slow, slow"
    )
    subprocess.run([sys.executable, "-c", script, str(prepared)], check=True, cwd=ROOT)
