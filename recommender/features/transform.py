"""From examples to what the model reads: the split, then features from its training part only."""

import logging
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import pyarrow.parquet as pq
from ibis.backends.duckdb import Backend
from ibis.expr import types as ir

from recommender.configuration import Configuration
from recommender.data.columns import Columns
from recommender.data.engine import (
    MOVIES_FILE,
    EngineConfig,
    movies_table,
    open_engine,
    ratings_table,
    require_columns,
)
from recommender.data.splits import (
    PART,
    PARTS,
    PartSummary,
    SplitConfig,
    SplitManifest,
    content_sha256,
    dropped_ratings,
    split_ratings,
)
from recommender.errors import DataError
from recommender.features.interaction import interaction_features
from recommender.features.movie import movie_features
from recommender.features.user import user_features
from recommender.features.vocabulary import GENRE, Vocabulary, genre_index

_log = logging.getLogger(__name__)

_RATING_COLUMNS = (Columns.USER_ID, Columns.MOVIE_ID, Columns.RATING, Columns.TIMESTAMP)


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
        DataError: the examples are missing or incomplete, or the filters leave no rating.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    staged = output.with_name(f".{output.name}.{uuid.uuid4().hex}")
    scratch = staged / "scratch"
    scratch.mkdir(parents=True)
    try:
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
    engine: Backend, examples: Path, config: TransformConfig, seed: int, *, folder: Path, scratch: Path
) -> SplitManifest:
    ratings, movies = ratings_table(engine, examples), movies_table(engine, examples)
    require_columns(ratings, _RATING_COLUMNS, examples / "ratings.parquet")
    require_columns(movies, (Columns.MOVIE_ID, Columns.GENRES, Columns.RELEASE_YEAR), examples / MOVIES_FILE)
    ratings = ratings.select(*_RATING_COLUMNS)

    with _timed("split"):
        dropped = dropped_ratings(ratings, config.split)
        for filtered in dropped:
            _log.info(
                "%s %s left out %d ratings and %d users",
                filtered.filter,
                filtered.value,
                filtered.n_ratings,
                filtered.n_users,
            )
        # On disk, because every later step reads it and the draw is the dearest part.
        parts = _stored(engine, split_ratings(ratings, config.split, seed), scratch / "parts.parquet")
        train = parts.filter(parts[PART] == "train").drop(PART)
        if not train.limit(1).count().to_pyarrow().as_py():
            raise DataError(
                f"No rating of {examples} is left to train on: lower `min_rating` "
                f"({config.split.min_rating}) or `min_user_ratings` ({config.split.min_user_ratings})."
            )

    genres = [str(name) for name in genre_index(movies).order_by(GENRE)[GENRE].to_pyarrow().to_pylist()]
    with _timed("user features"):
        users = _stored(
            engine,
            user_features(train, movies).order_by(Columns.USER_ID),
            folder / "user_features.parquet",
        )
    with _timed("movie features"):
        movie_rows = _stored(
            engine,
            movie_features(train, movies, genres).order_by(Columns.MOVIE_ID),
            folder / "movie_features.parquet",
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
        protocol=f"P-{config.split.strategy}",
        strategy=config.split.strategy,
        seed=seed,
        config=config.split,
        parts=summaries,
        dropped=dropped,
    )
    manifest.write(folder)
    return manifest


def _write_part(engine: Backend, rows: ir.Table, file: Path) -> PartSummary:
    by = (Columns.USER_INDEX, Columns.TIMESTAMP, Columns.MOVIE_INDEX)
    written = _stored(engine, rows.order_by(*by), file)
    counts = written.aggregate(
        users=written[Columns.USER_ID].nunique(), movies=written[Columns.MOVIE_ID].nunique()
    ).to_pyarrow()
    with pq.ParquetFile(file) as parquet:
        return PartSummary(
            n_ratings=parquet.metadata.num_rows,
            n_users=counts["users"][0].as_py(),
            n_movies=counts["movies"][0].as_py(),
            sha256=content_sha256(parquet.iter_batches(columns=list(_RATING_COLUMNS))),
        )


def _stored(engine: Backend, rows: ir.Table, file: Path) -> ir.Table:
    """Write the rows to a Parquet file and go on from there."""
    rows.to_parquet(str(file), compression="snappy")
    return engine.read_parquet(str(file))


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
