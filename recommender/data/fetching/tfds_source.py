"""MovieLens as tensorflow-datasets prepared it on this machine: found, checked and turned into Parquet."""

import hashlib
import json
import logging
import os
import re
import shlex
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recommender.data.columns import Columns
from recommender.data.engine import MOVIES_FILE, RATINGS_FILE
from recommender.data.files.dialects import NO_GENRES
from recommender.errors import DataError

_logger = logging.getLogger(__name__)

PREPARED_SIZES: Final = ("100k", "1m", "20m", "25m", "latest-small")
"""The MovieLens data sets that tensorflow-datasets can prepare."""

_VERSION: Final = "0.1.1"

_SPLIT: Final = "train"
"""Holds all rows: tensorflow-datasets does not split MovieLens."""

_LABELS_FILE: Final = "movie_genres.labels.txt"

_NOT_GENRES: Final = (NO_GENRES, "Unknown")

_BATCH_ROWS: Final = 1 << 17

_RATINGS_SCHEMA: Final = pa.schema(
    {
        Columns.USER_ID: pa.int64(),
        Columns.MOVIE_ID: pa.int64(),
        Columns.RATING: pa.float32(),
        Columns.TIMESTAMP: pa.int64(),
    }
)

_MOVIES_SCHEMA: Final = pa.schema(
    {Columns.MOVIE_ID: pa.int64(), Columns.TITLE: pa.string(), Columns.GENRES: pa.list_(pa.string())}
)


@dataclass(frozen=True)
class _PreparedTable:
    """The ratings or the movies of one data set, where tensorflow-datasets prepares them."""

    data_dir: Path
    size: str
    table: str

    @property
    def name(self) -> str:
        return f"movielens/{self.size}-{self.table}"

    @property
    def folder(self) -> Path:
        return self.data_dir / self.name / _VERSION

    def other_versions(self) -> list[str]:
        """Versions that are there instead. What a preparation has not finished is none."""
        return sorted(path.parent.name for path in self.folder.parent.glob("[0-9]*/dataset_info.json"))

    def damaged(self, reason: object) -> DataError:
        return self.unusable(f"is damaged or incomplete: {reason}")

    def unusable(self, reason: str) -> DataError:
        return DataError(
            f"{self.folder} {reason}. Remove that folder and prepare it again:\n"
            f"{_how_to_prepare(self.size, self.data_dir)}"
        )


def export_prepared(size: str, data_dir: Path | None, folder: Path) -> None:
    """Write the prepared `movielens/<size>-ratings` and `-movies` as `ratings.parquet` and `movies.parquet`.

    Ratings: `user_id` int64, `movie_id` int64, `rating` float32, `timestamp` int64 (Unix seconds, UTC).
    Movies: `movie_id` int64, `title` string, `genres` list of strings, as tensorflow-datasets spells them
    ("Children's" of 100K and 1M is "Children" there). Rows keep the order in which they were prepared.
    Nothing is fetched or prepared. Both files are written beside and then renamed. Memory does not grow with
    the number of rows.

    Args:
        size: one of `PREPARED_SIZES`.
        data_dir: folder of tensorflow-datasets; if None, `TFDS_DATA_DIR` or else `~/tensorflow_datasets`.
        folder: where to put the two files; made if it is not there.

    Raises:
        DataError: the size is unknown, or the data set is not prepared there, or in another version or
            format, or damaged; says how to prepare it.
    """
    ratings, movies = _prepared_tables(size, data_dir)
    started = time.perf_counter()
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch_name:
        scratch = Path(scratch_name)
        n_movies = _write(scratch / MOVIES_FILE, _MOVIES_SCHEMA, _read_movies(movies))
        n_ratings = _write(scratch / RATINGS_FILE, _RATINGS_SCHEMA, _read_ratings(ratings))
        folder.mkdir(exist_ok=True)
        for name in (RATINGS_FILE, MOVIES_FILE):
            (scratch / name).replace(folder / name)
    _logger.info(
        "Read %d ratings and %d movies from %s in %.1f s",
        *(n_ratings, n_movies, ratings.data_dir, time.perf_counter() - started),
    )


def prepared_fingerprint(size: str, data_dir: Path | None) -> str:
    """A sha256 that changes when the data set is prepared anew with other content.

    It covers what tensorflow-datasets says of the data set and the sizes of its files: the rows themselves
    carry checksums of their own, which `export_prepared` checks. TensorFlow is not imported.

    Args:
        size: one of `PREPARED_SIZES`.
        data_dir: as for `export_prepared`.

    Raises:
        DataError: the size is unknown, or the data set is not prepared there or cannot be read.
    """
    known = []
    for table in _prepared_tables(size, data_dir):
        try:
            for file in sorted(table.folder.iterdir()):
                told = file.suffix in {".json", ".txt"}
                content = hashlib.sha256(file.read_bytes()).hexdigest() if told else file.stat().st_size
                known.append((table.name, file.name, content))
        except OSError as error:
            raise _unreadable(table.folder, error) from error
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()


def _prepared_tables(size: str, data_dir: Path | None) -> tuple[_PreparedTable, _PreparedTable]:
    """Ratings and movies that are prepared in the version that is read here."""
    if size not in PREPARED_SIZES:
        raise DataError(
            f"tensorflow-datasets has no MovieLens {size}, only {', '.join(PREPARED_SIZES)}. "
            "Choose one of these, or fetch others with source=movielens."
        )
    if data_dir is None:
        data_dir = Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets")
    data_dir = data_dir.expanduser().absolute()
    tables = _PreparedTable(data_dir, size, "ratings"), _PreparedTable(data_dir, size, "movies")
    missing = []
    for table in tables:
        try:
            if not (table.folder / "dataset_info.json").is_file():
                versions = table.other_versions()
                missing.append(table.name + (f" (only version {', '.join(versions)})" if versions else ""))
        except OSError as error:
            raise _unreadable(table.folder, error) from error
    if missing:
        raise DataError(
            f"No {' and no '.join(missing)} prepared in version {_VERSION} in {data_dir}. "
            f"Name the folder that has it (example_gen.tfds_data_dir, or TFDS_DATA_DIR), or prepare it:\n"
            f"{_how_to_prepare(size, data_dir)}"
        )
    return tables


def _how_to_prepare(size: str, data_dir: Path) -> str:
    code = "import tensorflow_datasets as tfds"
    for table in ("ratings", "movies"):
        place = json.dumps(str(data_dir), ensure_ascii=False)
        code += f'; tfds.load("movielens/{size}-{table}", data_dir={place})'
    by_hand = data_dir / "downloads" / "manual" / f"ml-{size}.zip"
    return (
        f"  {shlex.join(['python', '-c', code])}\n"
        f"Where GroupLens cannot be reached, put its archive there first, as {by_hand}."
    )


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"{path} cannot be read: {error.strerror}. Check that it may be read.")


def _read_ratings(ratings: _PreparedTable) -> Iterator[list[Any]]:
    """Columns of `_RATINGS_SCHEMA`, batch by batch."""
    import tensorflow as tf

    features = {
        "user_id": tf.io.FixedLenFeature([], tf.string),
        "movie_id": tf.io.FixedLenFeature([], tf.string),
        "user_rating": tf.io.FixedLenFeature([], tf.float32),
        "timestamp": tf.io.FixedLenFeature([], tf.int64),
    }
    for batch in _batches(ratings, features):
        yield [
            _ids(batch["user_id"].numpy(), "user_id", ratings),
            _ids(batch["movie_id"].numpy(), "movie_id", ratings),
            batch["user_rating"].numpy(),
            batch["timestamp"].numpy(),
        ]


def _read_movies(movies: _PreparedTable) -> Iterator[list[Any]]:
    """Columns of `_MOVIES_SCHEMA`, batch by batch."""
    import tensorflow as tf

    features = {
        "movie_id": tf.io.FixedLenFeature([], tf.string),
        "movie_title": tf.io.FixedLenFeature([], tf.string),
        "movie_genres": tf.io.RaggedFeature(tf.int64),
    }
    # Without this file tensorflow-datasets itself would call the genres "0", "1" and so on.
    try:
        names = pa.array((movies.folder / _LABELS_FILE).read_text("utf-8").splitlines(), pa.string())
    except (OSError, ValueError) as error:
        raise movies.damaged(error) from error
    for batch in _batches(movies, features):
        labels = batch["movie_genres"]
        try:
            titles = pa.array(batch["movie_title"].numpy(), pa.string())
            genres = _genres(names.take(labels.values.numpy()), labels.row_splits.numpy())
        except (pa.ArrowInvalid, pa.ArrowIndexError) as error:
            raise movies.damaged(error) from error
        yield [_ids(batch["movie_id"].numpy(), "movie_id", movies), titles, genres]


def _ids(values: Any, field: str, table: _PreparedTable) -> pa.Array:
    """Texts as whole numbers, int64."""
    try:
        return pa.array(values, pa.string()).cast(pa.int64())
    except pa.ArrowInvalid as error:
        raise table.damaged(f"{field} is no whole number: {error}") from error


def _genres(names: pa.Array, row_splits: Any) -> pa.Array:
    """The genres of all movies and where those of each begin, as lists without the names for "none"."""
    kept = pc.invert(pc.is_in(names, pa.array(_NOT_GENRES)))
    n_kept_before = np.concatenate([[0], np.cumsum(kept.to_numpy(zero_copy_only=False))])
    return pa.ListArray.from_arrays(pa.array(n_kept_before[row_splits], pa.int32()), names.filter(kept))


def _batches(table: _PreparedTable, features: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Tensors of the features, batch by batch, and proof at the end that no row was missing."""
    import tensorflow as tf

    paths, n_rows = _files_and_rows(table)
    # tensorflow-datasets itself would parse row by row and take four times as long.
    rows = tf.data.TFRecordDataset(paths).batch(_BATCH_ROWS)
    parsed = rows.map(lambda batch: tf.io.parse_example(batch, features)).prefetch(1)
    n_read, next_report = 0, 0.25
    try:
        for batch in parsed:
            yield batch
            n_read += len(batch["movie_id"])
            if n_read >= next_report * n_rows:
                _logger.info("%s: %d of %d rows", table.name, n_read, n_rows)
                next_report = n_read / n_rows + 0.25
    except tf.errors.OpError as error:
        raise table.damaged(re.sub(r"^\{\{.*?\}\} | \[Op:.*$", "", error.message)) from error
    if n_read != n_rows:
        raise table.damaged(f"{n_read:,} rows where its dataset_info.json tells of {n_rows:,}")


def _files_and_rows(table: _PreparedTable) -> tuple[list[str], int]:
    """The files of a prepared table in order, and how many rows they hold together."""
    import tensorflow_datasets as tfds
    from google.protobuf.json_format import ParseError  # type: ignore[import-untyped]

    try:
        info = tfds.builder_from_directory(table.folder).info
        split = info.splits[_SPLIT]
        paths, n_rows = [str(path) for path in split.filepaths], split.num_examples
    except (OSError, ValueError, KeyError, ParseError) as error:
        raise table.damaged(error) from error
    if info.file_format != tfds.core.FileFormat.TFRECORD:
        raise table.unusable(f"is in the format {info.file_format.value}, only tfrecord is read")
    return paths, n_rows


def _write(file: Path, schema: pa.Schema, batches: Iterable[list[Any]]) -> int:
    """Write batches of columns as row groups of a Parquet file; gives the number of rows."""
    n_rows = 0
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for columns in batches:
            batch = pa.record_batch(columns, schema=schema)
            writer.write_batch(batch)
            n_rows += batch.num_rows
    return n_rows
