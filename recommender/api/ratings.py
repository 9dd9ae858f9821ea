"""Ratings and movies from anywhere, read and checked as the pipeline's first steps do it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from recommender.data.columns import Columns
from recommender.data.engine import MOVIES_FILE, RATINGS_FILE, EngineConfig
from recommender.data.fetching.movielens import DATASETS, Dataset
from recommender.data.files.own_files import MoviesFileConfig, RatingsFilesConfig
from recommender.data.schema import infer_schema
from recommender.data.source_report import SourceReport
from recommender.data.sources import ExampleGenConfig, ingest
from recommender.data.statistics import Statistics, compute_statistics
from recommender.data.validation import ValidationConfig, write_validated_examples
from recommender.errors import DataError
from recommender.scratch_folder import ScratchFolder

_SYNTHETIC: Final = "synthetic"
_NAMES: Final[Mapping[str, Dataset]] = {f"ml-{name}": name for name in DATASETS}


class ArrowTable(Protocol):
    """A table that hands its columns over as Arrow: of pyarrow, Polars, DuckDB and others."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The Arrow PyCapsule interface."""


Table = pd.DataFrame | ArrowTable


class Ratings:
    """Ratings and movies that have been read and checked.

    They lie in a folder as Parquet, and not in memory: 25 million ratings are no problem.

    Attributes:
        folder: Holds `ratings.parquet` and `movies.parquet` with the columns that `Columns` names.
        source: Where they come from, and how many there are.
        statistics: What they look like.
    """

    def __init__(
        self, folder: Path, source: SourceReport, statistics: Statistics, kept: ScratchFolder
    ) -> None:
        self.folder: Final = folder
        self.source: Final = source
        self.statistics: Final = statistics
        # A temporary folder goes with the last reference to it.
        self._kept = kept

    def __repr__(self) -> str:
        n = self.statistics
        return (
            f"<{n.n_ratings:,} ratings of {n.n_catalogue_movies:,} movies by {n.n_users:,} users: "
            f"{self.source.source}>"
        )

    def ratings(self) -> pd.DataFrame:
        """The ratings in memory: `user_id`, `movie_id`, `rating`, `timestamp`."""
        return _frame(self.folder / RATINGS_FILE, list(Columns.RATINGS))

    def movies(self) -> pd.DataFrame:
        """The movies in memory: `movie_id`, `title`, `genres`, `release_year`."""
        columns = [Columns.MOVIE_ID, Columns.TITLE, Columns.GENRES, Columns.RELEASE_YEAR]
        return _frame(self.folder / MOVIES_FILE, columns)


def load_ratings(
    source: str | Path | Table | ExampleGenConfig,
    movies: Table | None = None,
    *,
    folder: str | Path | None = None,
    downloads: str | Path = "var/downloads",
    validation: ValidationConfig | None = None,
    engine: EngineConfig | None = None,
) -> Ratings:
    """Read ratings and movies, check them, and measure what they look like.

    >>> import pandas as pd
    >>> from recommender import load_ratings
    >>> rated = pd.DataFrame({"user_id": [1, 1, 2], "movie_id": [7, 8, 7], "rating": [4.0, 2.5, 5.0]})
    >>> listed = pd.DataFrame({"movie_id": [7, 8], "title": ["Alien (1979)", "Antz (1998)"]})
    >>> load_ratings(rated, listed)
    <3 ratings of 2 movies by 2 users: ratings from the tables given>

    Args:
        source: One of

            - `"ml-100k"`, `"ml-1m"` and so on: MovieLens, fetched and verified by its sha256;
            - a folder or a .zip in any MovieLens layout, or with `ratings.parquet` or `ratings.csv`, or the
              path of one such file of ratings, Parquet or csv;
            - a table, of pandas, pyarrow, Polars or whatever speaks Arrow, with columns `user_id`,
              `movie_id`, `rating` and perhaps `timestamp`, a time or whole Unix seconds;
            - `"synthetic"`: 8,000 ratings that are made up but can be learned from;
            - an `ExampleGenConfig`, for everything else that the pipeline can read.
        movies: Beside a table of ratings: `movie_id`, `title` and perhaps `genres`, a list or a text such as
            `Action|Drama`, and `release_year`. Without it movies are called "Movie 7".
        folder: Keeps the tables; without it, a temporary folder that goes with the object.
        downloads: Keeps what was fetched for the next time.
        validation: What becomes of bad ratings; without it they are errors.
        engine: What computes; the result does not depend on it.

    Raises:
        DataError: nothing is there, or what is there cannot be used; names file, line, field and value.
        FetchError: the data set could not be fetched; says why, and what to do.
    """
    kept = ScratchFolder("marquee-ratings-")
    root = kept.path if folder is None else Path(folder)
    with ScratchFolder("marquee-given-") as given:
        config = _config_of(source, movies, given.path)
        checks = validation or ValidationConfig()
        examples = root / "examples"
        try:
            report = ingest(config, examples, Path(downloads), engine, keep_unreadable=checks.quarantine)
        except DataError as error:
            # The caller knows nothing of this folder.
            raise DataError(str(error).replace(f"{given.path}/", "")) from error
        if config.path == str(given.path):
            told = {"source": "ratings from the tables given", "address": "memory"}
            report.model_copy(update=told).write(examples)
    statistics = compute_statistics(examples, engine)
    write_validated_examples(
        examples,
        infer_schema(examples, engine),
        root / "anomalies",
        root / "validated",
        config=checks,
        engine=engine,
        statistics=statistics,
    )
    if checks.quarantine:
        statistics = compute_statistics(root / "validated", engine)
    return Ratings(root / "validated", SourceReport.read(root / "validated"), statistics, kept)


def _config_of(
    source: str | Path | Table | ExampleGenConfig, movies: Table | None, given: Path
) -> ExampleGenConfig:
    """Where to read; tables are written to a folder first, so that they are read like any other."""
    if movies is not None and isinstance(source, str | Path | ExampleGenConfig):
        raise DataError("movies belong to a table of ratings; a file or a folder of ratings has its own.")
    if isinstance(source, ExampleGenConfig):
        return source
    if isinstance(source, str) and source in _NAMES:
        return ExampleGenConfig(dataset=_NAMES[source])
    if isinstance(source, str) and source == _SYNTHETIC:
        return ExampleGenConfig(source="synthetic")
    if isinstance(source, str | Path):
        return _file_config(Path(source).expanduser().absolute())
    _write(source, given / RATINGS_FILE)
    if movies is not None:
        _write(movies, given / MOVIES_FILE)
    return ExampleGenConfig(
        source="directory",
        path=str(given),
        ratings=RatingsFilesConfig(file=RATINGS_FILE),
        movies=None if movies is None else MoviesFileConfig(file=MOVIES_FILE),
    )


def _file_config(path: Path) -> ExampleGenConfig:
    if not path.exists():
        names = ", ".join((*_NAMES, _SYNTHETIC))
        raise DataError(f"{path} is not there. Give a folder or a file with ratings, or one of {names}.")
    if path.is_dir() or path.suffix == ".zip":
        return ExampleGenConfig(source="directory", path=str(path))
    return ExampleGenConfig(
        source="directory", path=str(path.parent), ratings=RatingsFilesConfig(file=path.name)
    )


def _write(table: Table, file: Path) -> None:
    try:
        pq.write_table(pa.table(table), file)
    except (TypeError, ValueError, pa.ArrowException) as error:
        raise DataError(
            f"{type(table).__name__} is no table of {file.stem} ({error}): give a pandas or Arrow table."
        ) from error


def _frame(file: Path, columns: list[str]) -> pd.DataFrame:
    frame: pd.DataFrame = pq.read_table(file, columns=columns).to_pandas()
    return frame
