"""The dialects in which MovieLens has been published, and which of them a folder holds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recommender.data.files.delimited_rows import DelimitedLayout, FieldError, Row
from recommender.data.files.movies_files import MoviesLayout
from recommender.data.files.ratings_files import RatingsColumns, RatingsFile, RatingsLayout
from recommender.data.files.source_files import SourceFiles
from recommender.data.files.tags_file import TagsFile, TagsLayout
from recommender.data.rating_scale import HALF_STARS, RatingScale
from recommender.errors import DataError

LINKS_FILE: Final = "links.csv"

NO_GENRES: Final = "(no genres listed)"

ML_100K_GENRES: Final = (
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)
"""The genres of MovieLens 100K, in the order of the flags in `u.item` after the flag "unknown"."""

_UNKNOWN: Final = "unknown"
_WHOLE_STARS: Final = RatingScale(min=1.0, max=5.0, step=1.0)


@dataclass(frozen=True)
class Dialect:
    """One way of laying out ratings and movies in files."""

    name: str
    ratings: RatingsLayout
    movies: MoviesLayout
    scale: RatingScale
    tags: TagsLayout | None = None
    """Where it has any."""


def _flagged_genres(row: Row) -> list[str]:
    for genre in (_UNKNOWN, *ML_100K_GENRES):
        if row[genre] not in {"0", "1"}:
            raise FieldError(genre, row[genre], "is not a flag: 0 and 1 are")
    return [genre for genre in ML_100K_GENRES if row[genre] == "1"]


def _barred_genres(row: Row) -> list[str]:
    genres = [genre.strip() for genre in row["genres"].split("|")]
    return [genre for genre in genres if genre and genre != NO_GENRES]


def _spaced_genres(row: Row) -> list[str]:
    genres = row["class:token_seq"].split()
    for genre in genres:
        if genre not in {_UNKNOWN, *ML_100K_GENRES}:
            raise FieldError("class:token_seq", genre, "is not a genre of MovieLens 100K")
    return [genre for genre in genres if genre != _UNKNOWN]


def _title_and_year(row: Row) -> str:
    """RecBole cut the last bracket off each title: it is put back, so that titles read as in `u.item`."""
    title, bracket = row["movie_title:token_seq"], row["release_year:token"].strip()
    if bracket == "unkonwn":  # sic: the one movie without a title or a year
        return title.replace("unkonwn", _UNKNOWN)
    return f"{title} ({bracket})" if bracket else title


def _plain_title(row: Row) -> str:
    return row["title"]


DIALECTS: Final = (
    Dialect(
        "u.data",
        RatingsLayout("u.data", delimiter="\t", has_header=False, quoted=False),
        MoviesLayout(
            "u.item",
            DelimitedLayout(
                "|",
                (
                    "movie id",
                    "title",
                    "release date",
                    "video release date",
                    "IMDb URL",
                    _UNKNOWN,
                    *ML_100K_GENRES,
                ),
            ),
            _plain_title,
            _flagged_genres,
        ),
        _WHOLE_STARS,
    ),
    Dialect(
        "dat",
        RatingsLayout("ratings.dat", delimiter="::", has_header=False, quoted=False),
        MoviesLayout(
            "movies.dat", DelimitedLayout("::", ("movie id", "title", "genres")), _plain_title, _barred_genres
        ),
        HALF_STARS,
        TagsLayout("tags.dat", DelimitedLayout("::", ("user id", "movie id", "tag", "timestamp"))),
    ),
    Dialect(
        "csv",
        RatingsLayout(
            "ratings.csv", RatingsColumns(user_id="userId", movie_id="movieId", timestamp="timestamp"), ","
        ),
        MoviesLayout(
            "movies.csv",
            DelimitedLayout(",", ("movieId", "title", "genres"), has_header=True, quoted=True),
            _plain_title,
            _barred_genres,
        ),
        HALF_STARS,
        TagsLayout(
            "tags.csv", DelimitedLayout(",", ("userId", "movieId", "tag"), has_header=True, quoted=True)
        ),
    ),
    Dialect(
        "recbole",
        RatingsLayout(
            "ml-100k.inter",
            RatingsColumns(
                user_id="user_id:token",
                movie_id="item_id:token",
                rating="rating:float",
                timestamp="timestamp:float",
            ),
            "\t",
            quoted=False,
        ),
        MoviesLayout(
            "ml-100k.item",
            DelimitedLayout(
                "\t",
                ("item_id:token", "movie_title:token_seq", "release_year:token", "class:token_seq"),
                has_header=True,
            ),
            _title_and_year,
            _spaced_genres,
        ),
        _WHOLE_STARS,
    ),
)
"""MovieLens 100K's own layout, that of 1M and 10M, that of 20M and later, and RecBole's copy of 100K."""

SOURCE_FILE_NAMES: Final = frozenset(
    {LINKS_FILE}
    | {name for dialect in DIALECTS for name in (dialect.ratings.file_name, dialect.movies.file_name)}
    | {dialect.tags.file_name for dialect in DIALECTS if dialect.tags is not None}
)
"""Names of all files that any dialect reads."""


def find_source_files(folder: Path, scale: RatingScale | None = None) -> SourceFiles:
    """Find the ratings and movies of a data set in a folder, or one folder down as in GroupLens's archives.

    Args:
        folder: Where to look.
        scale: The values that ratings can take, if other than those of the dialect.

    Raises:
        DataError: no ratings in any dialect, more than one data set, or ratings without their movies.
    """
    expected = " or ".join(dialect.ratings.file_name for dialect in DIALECTS)
    try:
        found = _data_sets(folder)
        if not found:
            found = [
                pair for below in sorted(folder.iterdir()) if below.is_dir() for pair in _data_sets(below)
            ]
    except OSError as error:
        raise DataError(
            f"{folder} cannot be read: {error.strerror}. Give a folder or a .zip with {expected} in it."
        ) from error
    if not found:
        raise DataError(
            f"No ratings in {folder}: {expected} is expected there or in a folder right below it."
        )
    if len(found) > 1:
        names = ", ".join(str(place / dialect.ratings.file_name) for place, dialect in found)
        raise DataError(f"More than one data set in {folder}: {names}. Give the folder of one of them.")
    place, dialect = found[0]
    names_there = {path.name for path in place.iterdir()}
    ratings, movies, links = (
        place / name for name in (dialect.ratings.file_name, dialect.movies.file_name, LINKS_FILE)
    )
    if movies.name not in names_there:
        raise DataError(f"{movies} is missing: {ratings.name} comes with the movies it rates. Put it there.")
    return SourceFiles(
        dialect.name,
        (RatingsFile(ratings, dialect.ratings, source_file=0),),
        movies,
        dialect.movies,
        links if links.name in names_there else None,
        TagsFile(place / dialect.tags.file_name, dialect.tags)
        if dialect.tags is not None and dialect.tags.file_name in names_there
        else None,
        scale or dialect.scale,
    )


def _data_sets(folder: Path) -> list[tuple[Path, Dialect]]:
    names = {path.name for path in folder.iterdir()}
    return [(folder, dialect) for dialect in DIALECTS if dialect.ratings.file_name in names]
