"""From examples to what the model reads: the split, then features from its training part only."""

import logging
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import pyarrow.parquet as pq
from ibis.backends.sql import SQLBackend
from ibis.expr import types as ir

from recommender.configuration import Configuration
from recommender.data.columns import Columns
from recommender.data.engine import (
    MOVIES_FILE,
    RATINGS_FILE,
    EngineConfig,
    movies_table,
    open_engine,
    ratings_table,
    require_columns,
    stored,
    write_parquet,
)
from recommender.data.output_errors import told_of_output
from recommender.data.protocols import protocol_name
from recommender.data.rating_filters import filter_ratings
from recommender.data.split_ratings import split_ratings
from recommender.data.splits import PART, PARTS, PartSummary, SplitConfig, SplitManifest, content_sha256
from recommender.errors import DataError
from recommender.features.interaction import interaction_features
from recommender.features.movie import movie_features
from recommender.features.user import user_features
from recommender.features.vocabulary import GENRE, Vocabulary, genre_index

_log = logging.getLogger(__name__)

_RATING_COLUMNS = (Columns.USER_ID, Columns.MOVIE_ID, Columns.RATING, Columns.TIMESTAMP)
# Users that training does not know have one index in common: their ids keep the order fixed.
_INTERACTION_ORDER = (Columns.USER_INDEX, Columns.TIMESTAMP, Columns.MOVIE_ID, Columns.USER_ID)


class TransformConfig(Configuration):
    """How examples become what the model reads."""

    split: SplitConfig = SplitConfig()
    """How ratings are filtered and divided."""


def transform(
    examples: Path,
    config: TransformConfig,
    seed: int,
    output: Path,
    engine: EngineConfig | None = None,
) -> SplitManifest:
    """Split the ratings and write the features of users, movies and ratings.

    Writes `{train,validation,test}_interactions.parquet`, `user_features.parquet`, `movie_features.parquet`,
    `movies.parquet`, `vocabulary.json` and `split.json`. Features come from the training part only. The
    folder appears whole or not at all, and the same input and seed give the same bytes.

    Args:
        examples: Folder with `ratings.parquet` and `movies.parquet`.
        config: Split and filters.
        seed: Decides the draw of the split.
        output: Folder to write; what is in it is replaced.
        engine: What computes; the result does not depend on it.

    Raises:
        DataError: the examples are missing or incomplete, the filters leave no rating, or the folder cannot
            be written to.
    """
    staged = output.with_name(f".{output.name}.{uuid.uuid4().hex}")
    scratch = staged / "scratch"
    try:
        with told_of_output(output):
            scratch.mkdir(parents=True)
            tables = open_engine(engine, scratch=scratch)
            try:
                manifest = _write(tables, examples, config, seed, folder=staged, scratch=scratch)
            finally:
                tables.disconnect()
            shutil.rmtree(scratch)
            _replace(staged, output)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return manifest


def _write(
    engine: SQLBackend, examples: Path, config: TransformConfig, seed: int, *, folder: Path, scratch: Path
) -> SplitManifest:
    columns = (*_RATING_COLUMNS, PART) if config.split.strategy == "provided" else _RATING_COLUMNS
    ratings, movies = ratings_table(engine, examples), movies_table(engine, examples)
    require_columns(ratings, columns, examples / RATINGS_FILE)
    require_columns(movies, (Columns.MOVIE_ID, Columns.GENRES, Columns.RELEASE_YEAR), examples / MOVIES_FILE)

    with _timed("split"):
        kept, dropped = filter_ratings(engine, ratings.select(*columns), config.split, scratch)
        # Kept, because every later step reads it.
        parts = stored(engine, split_ratings(kept, config.split, seed), scratch / "parts.parquet")
        train = parts.filter(parts[PART] == "train").drop(PART)
        if not _rows(train):
            filters = config.split.model_dump(include={"min_rating", "min_user_ratings", "k_core"})
            told = ", ".join(f"{name} ({value})" for name, value in filters.items() if value is not None)
            raise DataError(f"No rating of {examples} is left to train on: lower transform.split.{told}.")

    genres = [str(name) for name in genre_index(movies).order_by(GENRE)[GENRE].to_pyarrow().to_pylist()]
    with _timed("user features"):
        users = write_parquet(
            engine, user_features(train, movies), folder / "user_features.parquet", [Columns.USER_ID]
        )
    with _timed("movie features"):
        movie_rows = write_parquet(
            engine,
            movie_features(train, movies, genres),
            folder / "movie_features.parquet",
            [Columns.MOVIE_ID],
        )
    with _timed("interactions"):
        summaries = {
            part: _write_part(
                engine,
                interaction_features(parts.filter(parts[PART] == part).drop(PART), users, movie_rows),
                folder / f"{part}_interactions.parquet",
            )
            for part in PARTS
        }
    shutil.copyfile(examples / MOVIES_FILE, folder / MOVIES_FILE)
    Vocabulary(genres=tuple(genres), n_users=_rows(users), n_movies=_rows(movie_rows)).write(folder)
    manifest = SplitManifest(
        protocol=protocol_name(config.split),
        strategy=config.split.strategy,
        seed=seed,
        config=config.split,
        parts=summaries,
        dropped=dropped,
        notes=_notes(parts),
    )
    manifest.write(folder)
    return manifest


def _write_part(engine: SQLBackend, rows: ir.Table, file: Path) -> PartSummary:
    written = write_parquet(engine, rows, file, _INTERACTION_ORDER)
    counts = written.aggregate(
        users=written[Columns.USER_ID].nunique(), movies=written[Columns.MOVIE_ID].nunique()
    ).to_pyarrow()
    return PartSummary(
        n_ratings=pq.read_metadata(file).num_rows,
        n_users=counts["users"][0].as_py(),
        n_movies=counts["movies"][0].as_py(),
        sha256=content_sha256(file),
    )


def _notes(ratings: ir.Table) -> tuple[str, ...]:
    missing = _rows(ratings.filter(ratings[Columns.TIMESTAMP].isnull()))
    if not missing:
        return ()
    note = (
        f"{missing:,} ratings have no timestamp: theirs is 0 in the interactions, day_of_week and "
        "hour_of_day are -1; rating_velocity, recency_days and rating_trend leave them out."
    )
    _log.warning("%s", note)
    return (note,)


def _rows(table: ir.Table) -> int:
    return int(table.count().to_pyarrow().as_py())


def _replace(staged: Path, output: Path) -> None:
    """Put the finished folder in place of whatever is there."""
    if not output.exists():
        staged.rename(output)
        return
    old = output.with_name(f".{output.name}.old.{uuid.uuid4().hex}")
    output.rename(old)
    try:
        staged.rename(output)
    except OSError:
        old.rename(output)
        raise
    shutil.rmtree(old)


@contextmanager
def _timed(step: str) -> Iterator[None]:
    began = perf_counter()
    yield
    _log.info("%s: %.1f s", step, perf_counter() - began)
