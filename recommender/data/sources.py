"""From a source to canonical tables: fetch or find, parse, check, write."""

import hashlib
import json
import logging
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from recommender.configuration import Configuration
from recommender.data.canonical_tables import REPEATED_FILE, UNREADABLE_FILE, write_canonical_tables
from recommender.data.collected_ratings import (
    collected_fingerprint,
    read_collected,
    require_no_password,
)
from recommender.data.columns import Columns
from recommender.data.engine import MOVIES_FILE, RATINGS_FILE, EngineConfig
from recommender.data.fetching.archives import unpack
from recommender.data.fetching.movielens import GROUPLENS, Dataset, dataset_identity, fetch_dataset
from recommender.data.fetching.tfds_source import export_prepared, prepared_fingerprint
from recommender.data.files.dialects import SOURCE_FILE_NAMES
from recommender.data.files.own_files import (
    IMPLIED_FILE_NAMES,
    MoviesFileConfig,
    RatingsFilesConfig,
    find_files,
)
from recommender.data.files.source_files import SourceFiles
from recommender.data.files.source_text import unreadable
from recommender.data.fingerprints import table_fingerprint
from recommender.data.output_errors import told_of_output
from recommender.data.rating_scale import HALF_STARS, RatingScale
from recommender.data.source_report import SourceReport
from recommender.data.synthetic import SyntheticConfig, generate
from recommender.errors import ConfigurationError, DataError

_logger = logging.getLogger(__name__)

_UNPACKED: Final = "source"

_MIRROR_SCHEMES: Final = ("https://", "http://", "file://")


class ExampleGenConfig(Configuration):
    """Where ratings and movies come from."""

    source: Literal["movielens", "tfds", "directory", "synthetic"] = "movielens"
    """`movielens` fetches a published data set, `tfds` takes one that tensorflow-datasets has prepared
    here, `directory` reads files of your own, `synthetic` makes ratings up."""
    dataset: Dataset = "100k"
    """Under `movielens` and `tfds`: which data set."""
    tfds_data_dir: str | None = None
    """Under `tfds`: the folder of tensorflow-datasets. Without it, that of TFDS_DATA_DIR, or
    `~/tensorflow_datasets`."""
    path: str | None = None
    """Under `directory`, seen from where `marquee` is called: a folder or a .zip with ratings and movies in
    any MovieLens dialect (`u.data` and `u.item`, `ratings.dat`, `movies.dat` and perhaps `tags.dat`, or
    `ratings.csv`, `movies.csv` and perhaps `links.csv` and `tags.csv`), or with `ratings.csv` or
    `ratings.parquet` whose columns are called `user_id`, `movie_id`, `rating` and perhaps `timestamp`, or
    with the files that `ratings` and `movies` describe."""
    ratings: RatingsFilesConfig | None = None
    """Under `directory`: which files have the ratings, and what their columns are called."""
    movies: MoviesFileConfig | None = None
    """Under `directory`: which file has the movies, and what its columns are called. Without it, where
    `ratings` is given, movies have neither titles nor genres."""
    rating_scale: RatingScale | None = None
    """Under `directory`: the values that a rating can take. Without it, that of the MovieLens dialect, or
    what the ratings show."""
    mirrors: tuple[str, ...] = (GROUPLENS,)
    """Under `movielens`: base addresses to fetch the archive from, tried in order; `file://` works, too. What
    they give must have the registered checksum."""
    synthetic: SyntheticConfig = Field(default_factory=SyntheticConfig)
    """Under `synthetic`: how many ratings to make up."""
    collected: str | None = None
    """Ratings that a service has collected, to be merged into those of any source: the address of its store,
    such as `sqlite:///var/ratings.db`, or a file that `marquee data export-ratings` wrote. The later rating
    of a movie counts, and what users removed is gone. No passwords: they belong into PGPASSWORD."""

    @field_validator("mirrors")
    @classmethod
    def _are_addresses(cls, mirrors: tuple[str, ...]) -> tuple[str, ...]:
        for mirror in mirrors:
            if not mirror.startswith(_MIRROR_SCHEMES):
                raise ValueError(f"{mirror!r} is not an address starting with {', '.join(_MIRROR_SCHEMES)}")
        return mirrors

    @field_validator("collected")
    @classmethod
    def _is_no_secret(cls, collected: str | None) -> str | None:
        if collected is not None:
            try:
                require_no_password(collected)
            except ConfigurationError as error:
                raise ValueError(str(error)) from error
        return collected

    @model_validator(mode="after")
    def _directory_has_path(self) -> Self:
        if self.source == "directory" and not self.path:
            raise ValueError("source=directory needs path: a folder or a .zip with ratings and movies")
        own = [
            name for name in ("path", "ratings", "movies", "rating_scale") if getattr(self, name) is not None
        ]
        if own and self.source != "directory":
            raise ValueError(f"for files of your own ({', '.join(own)}) set source=directory, too")
        return self


@dataclass(frozen=True)
class _Source:
    """A folder to read, and what is known of where it comes from."""

    folder: Path
    words: str
    address: str
    archive: Path | None = None
    archive_sha256: str | None = None
    scale: RatingScale | None = None
    """The values that a rating can take, where the files do not tell."""

    def name_of(self, file: Path, unpacked: Path) -> str:
        """A file as a person would write it."""
        if self.archive is not None and file.is_relative_to(unpacked):
            return f"{self.archive.name}!{file.relative_to(unpacked).as_posix()}"
        return file.relative_to(self.folder).as_posix() if file.is_relative_to(self.folder) else str(file)


def ingest(
    config: ExampleGenConfig,
    output: Path,
    downloads: Path,
    engine: EngineConfig | None = None,
    *,
    keep_unreadable: bool = False,
) -> SourceReport:
    """Read a source into canonical tables: `ratings.parquet`, `movies.parquet` and `source.json`.

    Ratings are sorted by user, timestamp and movie, movies by id; the same input gives the same bytes. Each
    rating says which line of which file it comes from. Of several ratings of one movie by one user the latest
    stays, the others go to `repeated.parquet`. Rated movies that the table of movies lacks are added as
    "Movie <id>". Whether ratings and times are plausible is for ExampleValidator to say. Everything is
    written beside and then renamed.

    Args:
        config: Which source.
        output: Folder for the files; made if it is not there.
        downloads: Folder that keeps what was fetched for the next time.
        engine: What computes; the result does not depend on it.
        keep_unreadable: Go on without the rows that cannot be read, and write them to `unreadable.parquet`;
            more than half of a file are an error anyway.

    Raises:
        FetchError: nothing could be fetched; says for each place why, and what to do.
        DataError: the files cannot be used; names file, line, field and value. Or the folder cannot be
            written to.
        RatingStoreError: the store of collected ratings is not there or did not answer.
    """
    started = time.perf_counter()
    output = output.absolute()
    with told_of_output(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        if output.exists() and not output.is_dir():
            raise DataError(
                f"{output} is a file where a folder should be. Remove it, or name another folder."
            )
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}-") as scratch_name:
            scratch = Path(scratch_name)
            unpacked = scratch / _UNPACKED
            source = _open_source(config, unpacked, downloads)
            _logger.info("Reading %s", source.words)
            finished = scratch / "finished"
            finished.mkdir()
            try:
                report = _convert(config, source, finished, scratch, engine, keep_unreadable=keep_unreadable)
            except DataError as error:
                # What was unpacked is about to go: the archive is what a person can look into.
                told = str(error).replace(f"{unpacked}/", f"{source.address}!")
                raise DataError(told.replace(str(unpacked), source.address)) from error
            _publish(finished, output)
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


def can_change(config: ExampleGenConfig) -> bool:
    """Whether another run with the same configuration may find other ratings or movies."""
    is_made_up = config.source == "synthetic" and config.synthetic.catalogue is None
    return config.collected is not None or not (config.source == "movielens" or is_made_up)


def fingerprint(config: ExampleGenConfig) -> str:
    """A short hash that changes when the source does: the key under which its tables may be cached.

    Raises:
        DataError: the files to read are not there or cannot be read.
        RatingStoreError: the store of collected ratings is not there or did not answer.
    """
    if config.source == "movielens":
        known: Any = dataset_identity(config.dataset)
    elif config.source == "tfds":
        known = prepared_fingerprint(config.dataset, _tfds_data_dir(config))
    elif config.source == "synthetic":
        known = [config.synthetic.model_dump(mode="json")]
        if config.synthetic.catalogue is not None:
            catalogue = Path(config.synthetic.catalogue).expanduser().absolute()
            known += map(_size_and_sha256, sorted(catalogue.rglob("*.csv")) or [catalogue])
    else:
        path = _local_path(config)
        files = _find_files(config, path).all() if path.is_dir() else [path]
        mapping = config.model_dump(mode="json", include={"ratings", "movies", "rating_scale"})
        known = [mapping, *((file.name, *_size_and_sha256(file)) for file in files)]
    whole = [config.source, known]
    if config.collected is not None:
        whole.append(collected_fingerprint(config.collected))
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()[:16]


def _open_source(config: ExampleGenConfig, folder: Path, downloads: Path) -> _Source:
    """Fetch, find or make the files; `folder` is where to unpack or make them."""
    if config.source == "movielens":
        fetched = fetch_dataset(config.dataset, config.mirrors, downloads)
        unpack(fetched.path, folder, only=SOURCE_FILE_NAMES)
        inside = folder / fetched.folder_inside
        return _Source(inside, fetched.words, fetched.address, fetched.path, fetched.sha256)
    if config.source == "tfds":
        export_prepared(config.dataset, _tfds_data_dir(config), folder)
        words = f"MovieLens {config.dataset} as prepared by tensorflow-datasets"
        return _Source(folder, words, f"movielens/{config.dataset}", scale=HALF_STARS)
    if config.source == "synthetic":
        generate(config.synthetic, config.synthetic.seed, folder)
        address = f"seed {config.synthetic.seed}"
        if config.synthetic.catalogue is not None:
            address += f", movies of {config.synthetic.catalogue}"
        return _Source(folder, "synthetic ratings", address)
    path = _local_path(config)
    if path.is_dir():
        return _Source(path, f"ratings from the folder {path.name}", str(path))
    _size, sha256 = _size_and_sha256(path)
    is_own = config.ratings is not None or config.movies is not None
    unpack(path, folder, only=None if is_own else SOURCE_FILE_NAMES | IMPLIED_FILE_NAMES)
    return _Source(folder, f"ratings from the archive {path.name}", str(path), path, sha256)


def _find_files(config: ExampleGenConfig, folder: Path) -> SourceFiles:
    return find_files(folder, config.ratings, config.movies, config.rating_scale)


def _tfds_data_dir(config: ExampleGenConfig) -> Path | None:
    return None if config.tfds_data_dir is None else Path(config.tfds_data_dir)


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
        raise unreadable(path, error) from error


def _publish(finished: Path, output: Path) -> None:
    """Move the finished files to where they belong."""
    output.mkdir(exist_ok=True)
    # The report goes first and comes last, so that it never speaks of other tables than those beside it.
    names = (RATINGS_FILE, MOVIES_FILE, REPEATED_FILE, UNREADABLE_FILE, SourceReport.file_name)
    (output / SourceReport.file_name).unlink(missing_ok=True)
    for name in names:
        if (finished / name).exists():
            (finished / name).replace(output / name)
        else:
            (output / name).unlink(missing_ok=True)


def _convert(
    config: ExampleGenConfig,
    source: _Source,
    finished: Path,
    scratch: Path,
    engine: EngineConfig | None,
    *,
    keep_unreadable: bool,
) -> SourceReport:
    """Write the canonical tables and the report of a source into a folder."""
    files = _find_files(config, source.folder)
    collected = None if config.collected is None else read_collected(config.collected)
    tables = write_canonical_tables(
        files, finished, scratch, engine, collected=collected, keep_unreadable=keep_unreadable
    )
    names = {source.name_of(file, scratch / _UNPACKED): file for file in files.all()}
    report = SourceReport(
        source=source.words,
        address=source.address,
        archive_sha256=source.archive_sha256,
        dialect=files.dialect,
        files=(
            *names,
            *(() if collected is None else (collected.source,)),
        ),
        file_sha256={name: _size_and_sha256(file)[1] for name, file in names.items()}
        | ({} if collected is None or collected.sha256 is None else {collected.source: collected.sha256}),
        rating_scale=files.scale or source.scale,
        ratings_sha256=table_fingerprint(finished / RATINGS_FILE, Columns.RATINGS),
        movies_sha256=table_fingerprint(finished / MOVIES_FILE),
        **asdict(tables),
    )
    report.write(finished)
    return report
