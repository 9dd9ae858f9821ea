"""Ratings and movies of one's own: csv or Parquet, with columns of any name."""

import glob
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from recommender.configuration import Configuration
from recommender.data.columns import Columns
from recommender.data.files.delimited_rows import (
    DelimitedLayout,
    FieldError,
    open_delimited,
    whole_number,
)
from recommender.data.files.dialects import find_source_files
from recommender.data.files.movies_files import MoviesLayout, release_year
from recommender.data.files.parquet_files import is_parquet
from recommender.data.files.rating_values import TimestampUnit
from recommender.data.files.ratings_files import RatingsColumns, RatingsFile, RatingsLayout
from recommender.data.files.source_files import OWN_FILES, SourceFiles
from recommender.data.files.tags_file import MOST_TAGS
from recommender.data.rating_scale import RatingScale
from recommender.errors import DataError

_RATINGS: Final = ("ratings.parquet", "ratings.csv")
_MOVIES: Final = ("movies.parquet", "movies.csv")
IMPLIED_FILE_NAMES: Final = frozenset(_RATINGS + _MOVIES)
"""Names of files that are found without being named in a configuration."""

_MOST_FILES: Final = 2**15
"""As many as an int16 can number."""
_LAST_YEAR: Final = 9_999


class RatingsFilesConfig(Configuration):
    """Files of ratings: csv or Parquet, told apart by their content.

    A csv file has a header, may have fields in double quotes with delimiters and line ends in them, and is
    UTF-8 or Latin-1.
    """

    file: str = "ratings.csv"
    """Under `path`: one file, a pattern such as `ratings/*.parquet`, or a folder of Parquet or csv files."""
    validation_file: str | None = None
    """Ratings to choose the model by, laid out alike."""
    test_file: str | None = None
    """Ratings to judge the model by, laid out alike. With this or `validation_file`, those in `file` are the
    training part, and a rating that also is in a later part is left out of it."""
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    """Of a csv file; found in its header if this is not given: `,`, `;`, tab or `|`."""
    columns: RatingsColumns = Field(default_factory=RatingsColumns)
    """What the files call the columns."""
    timestamp_unit: TimestampUnit = "s"
    """Since 1970, UTC: seconds, `ms` or `us`; or `iso`, times such as `2024-05-01T12:00:00Z`. A column of
    Parquet that holds times needs none."""


class MoviesColumns(Configuration):
    """What a file calls the columns of movies. Further columns are ignored."""

    movie_id: str = "movie_id"
    """The same numbers as in the ratings."""
    title: str = "title"
    """What people see."""
    genres: str | None = None
    """Any number of genres or categories. Without this, `genres` if there is such a column."""
    release_year: str | None = None
    """Without this, `release_year` if there is such a column, or else the year in brackets behind the
    title."""
    tags: str | None = None
    """What users call the movie in a few words, the most telling first. Without this, `tags` if there is such
    a column."""


class MoviesFileConfig(Configuration):
    """A file of movies: csv, with a header, or Parquet."""

    file: str = "movies.csv"
    """Under `path`."""
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    """Of a csv file; found in its header if this is not given: `,`, `;`, tab or `|`."""
    columns: MoviesColumns = Field(default_factory=MoviesColumns)
    """What the file calls the columns."""
    genre_separator: str = Field(default="|", min_length=1)
    """Between the genres of a movie, and between its tags, unless they are a list of Parquet's."""


def find_files(
    folder: Path,
    ratings: RatingsFilesConfig | None,
    movies: MoviesFileConfig | None,
    scale: RatingScale | None,
) -> SourceFiles:
    """Find the files of a data set in a folder.

    Without a configuration of ratings or movies these are those of a MovieLens dialect, or `ratings.parquet`
    or `ratings.csv`, and `movies.parquet` or `movies.csv`, with canonical names of columns.

    Args:
        folder: Where to look.
        ratings: Where own ratings are, and how they are laid out.
        movies: Where own movies are, and how they are laid out.
        scale: The values that own ratings can take.

    Raises:
        DataError: files that are missing, or more than one data set.
    """
    if ratings is None and movies is None:
        own = next((name for name in _RATINGS if _is_canonical(folder / name)), None)
        if own is None:
            return find_source_files(folder, scale)
        ratings = RatingsFilesConfig(file=own)
        listed = next((name for name in _MOVIES if (folder / name).is_file()), None)
        movies = MoviesFileConfig(file=listed) if listed else None
    return SourceFiles(
        OWN_FILES,
        tuple(_ratings_files(folder, ratings or RatingsFilesConfig())),
        _files(folder, movies.file, "movies")[0] if movies else None,
        _movies_layout(movies or MoviesFileConfig()),
        links=None,
        tags=None,
        scale=scale,
    )


def _is_canonical(path: Path) -> bool:
    if not path.is_file():
        return False
    if is_parquet(path):
        return True
    try:
        open_delimited(path, DelimitedLayout(None, RatingsLayout(path.name).required(), has_header=True))
    except DataError:
        return False
    return True


def _ratings_files(folder: Path, config: RatingsFilesConfig) -> Iterator[RatingsFile]:
    layout = RatingsLayout(
        config.file, config.columns, config.delimiter, timestamp_unit=config.timestamp_unit
    )
    parts = {"train": config.file}
    if config.validation_file is not None:
        parts["validation"] = config.validation_file
    if config.test_file is not None:
        parts["test"] = config.test_file
    found = [(path, part) for part, pattern in parts.items() for path in _files(folder, pattern, "ratings")]
    if len(found) > _MOST_FILES:
        raise DataError(
            f"{folder} has {len(found):,} files of ratings; at most {_MOST_FILES:,} can be told apart."
        )
    for position, (path, part) in enumerate(found):
        yield RatingsFile(path, layout, position, part if len(parts) > 1 else None)


def _files(folder: Path, pattern: str, section: str) -> list[Path]:
    """The files that a pattern names, in the order of their names."""
    path = folder / pattern
    if path.is_dir():
        found = [
            file
            for suffix in (".parquet", ".csv")
            for file in sorted(path.rglob(f"*{suffix}"))
            if file.is_file() and not file.name.startswith((".", "_"))
        ]
        found = [file for file in found if file.suffix == found[0].suffix]
    elif path.exists():
        found = [path]
    else:
        matches = glob.glob(pattern, root_dir=folder, recursive=True)  # noqa: PTH207
        found = [folder / match for match in sorted(matches) if (folder / match).is_file()]
    if not found:
        raise DataError(
            f"{path} is not there, or is a folder without csv or Parquet files. Set example_gen.{section} to "
            "files under example_gen.path."
        )
    return found


def _movies_layout(config: MoviesFileConfig) -> MoviesLayout:
    columns = config.columns
    genres_column = columns.genres or Columns.GENRES
    year_column = columns.release_year or Columns.RELEASE_YEAR
    tags_column = columns.tags or Columns.TAGS
    named = (columns.movie_id, columns.title, columns.genres, columns.release_year, columns.tags)

    def title(row: Mapping[str, Any]) -> str:
        return str(row[columns.title])

    def words(row: Mapping[str, Any], column: str) -> list[str]:
        given = row.get(column, "")
        words = given if isinstance(given, list) else given.split(config.genre_separator)
        return [word.strip() for word in words if word and word.strip()]

    def genres(row: Mapping[str, Any]) -> list[str]:
        return words(row, genres_column)

    def tags(row: Mapping[str, Any]) -> list[str]:
        return list(dict.fromkeys(tag.lower() for tag in words(row, tags_column)))[:MOST_TAGS]

    def year(row: Mapping[str, Any], title: str) -> int | None:
        given = row.get(year_column, "").strip()
        if not given:
            return release_year(title)
        found = whole_number(row, year_column)
        if found > _LAST_YEAR:
            raise FieldError(year_column, given, "is not a year")
        return found

    return MoviesLayout(
        config.file,
        DelimitedLayout(
            config.delimiter,
            tuple(name for name in named if name is not None),
            has_header=True,
            quoted=True,
        ),
        title,
        genres,
        year,
        tags,
        kinds={
            columns.movie_id: ("numbers", "text"),
            columns.title: ("text", "numbers"),
            genres_column: ("lists of text", "text"),
            year_column: ("numbers", "text"),
            tags_column: ("lists of text", "text"),
        },
    )
