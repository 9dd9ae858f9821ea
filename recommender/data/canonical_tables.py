"""From the files of a data set to its canonical tables: read, check, sort, write."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.backends.sql import SQLBackend

from recommender.counted import counted
from recommender.data.canonical import (
    MOVIES_ORDER,
    RATINGS_ORDER,
    UniqueRatings,
    unique_ratings,
    unlisted_movies,
)
from recommender.data.collected_ratings import CollectedRatings, merge_collected
from recommender.data.columns import Columns
from recommender.data.engine import (
    MOVIES_FILE,
    RATINGS_FILE,
    EngineConfig,
    open_engine,
    stored,
    write_parquet,
)
from recommender.data.files.dialects import LINKS_FILE
from recommender.data.files.links_file import read_links
from recommender.data.files.movies_files import MOVIES_SCHEMA, read_movies
from recommender.data.files.ratings_files import StagedRatings, stage_ratings, staged_ratings
from recommender.data.files.row_problems import PROBLEMS_SCHEMA, UnreadableRows
from recommender.data.files.source_files import OWN_FILES, SourceFiles
from recommender.data.files.tags_file import read_tags
from recommender.data.source_report import CollectedReport
from recommender.errors import DataError

_logger = logging.getLogger(__name__)

REPEATED_FILE: Final = "repeated.parquet"
UNREADABLE_FILE: Final = "unreadable.parquet"


@dataclass(frozen=True)
class CanonicalTables:
    """What was written, in numbers and words."""

    n_ratings: int
    n_users: int
    n_movies: int
    n_rated_movies: int
    n_repeated_ratings: int
    n_unreadable: int
    has_timestamps: bool
    collected: CollectedReport | None
    notes: tuple[str, ...]


def write_canonical_tables(
    files: SourceFiles,
    output: Path,
    scratch: Path,
    engine: EngineConfig | None = None,
    *,
    collected: CollectedRatings | None = None,
    keep_unreadable: bool = False,
) -> CanonicalTables:
    """Write `ratings.parquet`, `movies.parquet`, and where there is anything in them, `repeated.parquet` and
    `unreadable.parquet`.

    Args:
        files: What to read.
        output: Folder for the tables.
        scratch: Folder for what is on the way.
        engine: What computes.
        collected: Ratings of a service to put among those of the files.
        keep_unreadable: Go on without the rows that cannot be read.

    Raises:
        DataError: the files cannot be used; names file, line, field and value.
    """
    staging, spill, problems = (scratch / name for name in ("staged", "spill", "problems"))
    for folder in (staging, spill, problems):
        folder.mkdir()
    unreadable = UnreadableRows(problems if keep_unreadable else None)
    listed = _read_movies(files, unreadable, spill)
    tables = open_engine(engine, scratch=spill)
    try:
        staged = _stage(tables, files, unreadable, staging)
        has_timestamps = staged[0].has_timestamps
        read, merged = staged_ratings(tables, staged), None
        if collected is not None:
            read, merged = merge_collected(
                *(tables, read, collected, staging),
                source_file=len(files.all()),
                has_timestamps=has_timestamps,
            )
        unique = unique_ratings(tables, read)
        ratings = unique.ratings
        if unique.repeated is not None:
            order = (*RATINGS_ORDER, *(name for name in ratings.columns if name not in RATINGS_ORDER))
            write_parquet(tables, unique.repeated, output / REPEATED_FILE, order)
        _logger.info("Sorting ratings")
        write_parquet(tables, ratings, output / RATINGS_FILE, RATINGS_ORDER)
        rated = stored(tables, ratings.select(Columns.MOVIE_ID).distinct(), staging / "rated_movies")
        movies = ibis.memtable(listed)
        write_parquet(
            tables, movies.union(unlisted_movies(rated, movies)), output / MOVIES_FILE, MOVIES_ORDER
        )
        n_users = int(tables.execute(ratings[Columns.USER_ID].nunique()))
        n_rated_movies = int(tables.execute(rated.count()))
    finally:
        tables.disconnect()
    n_unreadable = _write_unreadable(problems, output)
    n_ratings, n_movies = (pq.read_metadata(output / name).num_rows for name in (RATINGS_FILE, MOVIES_FILE))
    notes = [
        *_notes_of_rows(files, unique, n_movies - len(listed), n_unreadable),
        *_notes_of_collected(merged),
        *_notes_of_columns(files, listed, has_timestamps=has_timestamps),
    ]
    for note in notes:
        _logger.warning("%s", note)
    if files.links is None and files.dialect != OWN_FILES:
        # As it should be in all layouts but one.
        notes.append(f"There is no {LINKS_FILE}: imdb_id and tmdb_id are missing.")
    return CanonicalTables(
        n_ratings,
        n_users,
        n_movies,
        n_rated_movies,
        unique.n_repeated,
        n_unreadable,
        has_timestamps,
        merged,
        tuple(notes),
    )


def _read_movies(files: SourceFiles, unreadable: UnreadableRows, scratch: Path) -> pa.Table:
    if files.movies is None:
        return MOVIES_SCHEMA.empty_table()
    position = len(files.ratings)
    links = read_links(files.links, unreadable, position + 1) if files.links is not None else {}
    tags: dict[int, list[str]] = {}
    if files.tags is not None:
        _logger.info("Reading %s", files.tags.path.name)
        tags = read_tags(files.tags, scratch, unreadable, files.all().index(files.tags.path))
    return read_movies(files.movies, files.movies_layout, links, tags, unreadable, position)


def _stage(
    engine: SQLBackend, files: SourceFiles, unreadable: UnreadableRows, scratch: Path
) -> list[StagedRatings]:
    staged = []
    for file in files.ratings:
        _logger.info("Reading %s", file.path.name)
        staged.append(stage_ratings(engine, file, unreadable, scratch))
    n_by_part: dict[str | None, int] = {}
    for file, read in zip(files.ratings, staged, strict=True):
        n_by_part[file.part] = n_by_part.get(file.part, 0) + read.n_ratings
        if read.has_timestamps != staged[0].has_timestamps:
            with_times, without = (file, files.ratings[0])[:: 1 if read.has_timestamps else -1]
            raise DataError(
                f"{with_times.path} has timestamps and {without.path} has none. Add them there, or leave "
                "them out everywhere."
            )
    for file in files.ratings:
        if not n_by_part[file.part]:
            raise DataError(
                f"{file.path} holds no ratings, only its header or blank lines. Copy or unpack it again."
            )
    return staged


def _write_unreadable(problems: Path, output: Path) -> int:
    """Put the problems of all files into one table, if there are any, and count them."""
    tables = sorted(problems.iterdir())
    if not tables:
        return 0
    n_rows = 0
    with pq.ParquetWriter(output / UNREADABLE_FILE, PROBLEMS_SCHEMA, compression="zstd") as writer:
        for path in tables:
            with pq.ParquetFile(path) as table:
                for batch in table.iter_batches():
                    writer.write_batch(batch.cast(PROBLEMS_SCHEMA))
                    n_rows += batch.num_rows
    return n_rows


def _notes_of_rows(
    files: SourceFiles, unique: UniqueRatings, n_added: int, n_unreadable: int
) -> Iterator[str]:
    if n_unreadable:
        yield f"Left out {counted(n_unreadable, 'row')} that cannot be read: {UNREADABLE_FILE} has them."
    if n_earlier := unique.n_repeated - unique.n_leaked:
        yield (
            f"Dropped {counted(n_earlier, 'earlier rating')} of a movie that the same user rated again: "
            f"{REPEATED_FILE} has them."
        )
    if unique.n_leaked:
        yield (
            f"Dropped {counted(unique.n_leaked, 'rating')} of a movie that the same user also rated in a "
            f"part of the split that is kept from the model: {REPEATED_FILE} has them."
        )
    if n_added and files.movies is not None:
        yield f'Added {counted(n_added, "rated movie")} that {files.movies.name} lacks, as "Movie <id>".'


def _notes_of_collected(merged: CollectedReport | None) -> Iterator[str]:
    if merged is not None:
        yield (
            f"Added {counted(merged.n_ratings, 'rating')} that a service collected; {merged.n_replaced:,} of "
            f"the source gave way to them, and {merged.n_removed:,} that users removed there are gone."
        )


def _notes_of_columns(files: SourceFiles, listed: pa.Table, *, has_timestamps: bool) -> Iterator[str]:
    if not has_timestamps:
        yield (
            "There are no timestamps: splits by time and the features recency_days, rating_trend, "
            "day_of_week and hour_of_day fall away, and rating_velocity is the number of ratings."
        )
    if files.movies is None:
        yield (
            'There is no table of movies: they are called "Movie <id>", and have no genres and no release '
            "years."
        )
        return
    if not any(listed.column(Columns.GENRES).to_pylist()):
        yield f"{files.movies.name} has no genres: genre vectors are empty."
    if listed.column(Columns.RELEASE_YEAR).null_count == len(listed):
        yield f"{files.movies.name} has no release years."
