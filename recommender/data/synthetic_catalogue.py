"""The movies that made-up ratings are about: those of a real catalogue, or invented ones."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from recommender.data.columns import Columns
from recommender.data.fetching.archives import unpack
from recommender.data.files.dialects import DIALECTS, LINKS_FILE
from recommender.data.files.movies_files import read_movies
from recommender.errors import DataError

_MOVIES_LAYOUT: Final = next(dialect.movies for dialect in DIALECTS if dialect.name == "csv")
MOVIES_FILE: Final = _MOVIES_LAYOUT.file_name
LINE_END: Final = b"\r\n"
"""Of the files of MovieLens, all of them."""

_GENRES: Final = np.array(
    [
        "Action",
        "Adventure",
        "Animation",
        "Children",
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
    ]
)
# fmt: off
_ADJECTIVES: Final = (
    "Silent", "Crimson", "Broken", "Golden", "Hidden", "Last", "Distant", "Frozen",
    "Burning", "Electric", "Forgotten", "Velvet", "Hollow", "Restless", "Savage", "Gentle",
    "Midnight", "Paper", "Scarlet", "Secret", "Shattered", "Stolen", "Sudden", "Winter",
    "Wild", "Lonely", "Invisible", "Endless", "Emerald", "Crooked", "Borrowed", "Wandering",
)
_NOUNS: Final = (
    "Harbor", "River", "Garden", "Kingdom", "Station", "Promise", "Letter", "Mirror",
    "Orchard", "Stranger", "Symphony", "Voyage", "Witness", "Empire", "Horizon", "Lighthouse",
    "Carnival", "Shadow", "Storm", "Bridge", "Detective", "Summer", "Island", "Clockmaker",
    "Frontier", "Masquerade", "Neighbor", "Waltz", "Outlaw", "Planet", "Circus", "Daughter",
)
# fmt: on
_FIRST_FILM_YEAR: Final = 1930
_LAST_FILM_YEAR: Final = 2015


@dataclass(frozen=True)
class Catalogue:
    """What the generator knows of movies, ordered by id."""

    movie_ids: NDArray[np.int64]
    """int64 [movies], ascending."""
    has_genre: NDArray[np.bool_]
    """bool [movies, genres]."""
    release_years: NDArray[np.int64]
    """int64 [movies]; 0 where the title has none."""
    files: Mapping[str, bytes]
    """What `movies.csv`, and `links.csv` if there is one, hold."""


def read_catalogue(source: Path) -> Catalogue:
    """Read a given catalogue; its files stay as they are.

    Args:
        source: a folder or a .zip with `movies.csv`, and maybe `links.csv`, in it or in a folder right below.

    Raises:
        DataError: it is not there, holds no `movies.csv`, or one that cannot be used.
    """
    if not source.exists():
        raise DataError(
            f"The catalogue {source} is not there. Set catalogue to a folder or a .zip with {MOVIES_FILE}."
        )
    with tempfile.TemporaryDirectory(prefix="marquee-catalogue-") as scratch:
        place = source
        if not source.is_dir():
            place = Path(scratch) / "unpacked"
            unpack(source, place, only={MOVIES_FILE, LINKS_FILE})
        found = sorted([*place.glob(MOVIES_FILE), *place.glob(f"*/{MOVIES_FILE}")])
        if len(found) != 1:
            raise DataError(
                f"The catalogue {source} has {len(found)} files {MOVIES_FILE}, in it or in a folder right "
                "below: it should have one."
            )
        try:
            listed = read_movies(found[0], _MOVIES_LAYOUT, {})
        except DataError as error:
            # What was unpacked is about to go: the archive is what a person can look into.
            raise DataError(str(error).replace(str(Path(scratch) / "unpacked"), str(source))) from error
        beside = (found[0], found[0].with_name(LINKS_FILE))
        files = {path.name: path.read_bytes() for path in beside if path.is_file()}
    lists = listed[Columns.GENRES].combine_chunks()
    genres = pc.dictionary_encode(lists.flatten())
    has_genre = np.zeros((len(listed), max(1, len(genres.dictionary))), dtype=np.bool_)
    has_genre[pc.list_parent_indices(lists), genres.indices] = True
    return Catalogue(
        listed[Columns.MOVIE_ID].to_numpy(),
        has_genre,
        listed[Columns.RELEASE_YEAR].fill_null(0).to_numpy().astype(np.int64),
        files,
    )


def invent_catalogue(rng: np.random.Generator, n_movies: int) -> Catalogue:
    """Make up movies with titles, years and genres."""
    movie_ids = np.arange(1, n_movies + 1)
    has_genre = _genres(rng, n_movies)
    release_years = _release_years(rng, n_movies)
    table = pa.table(
        {
            "movieId": movie_ids,
            "title": _titles(rng, release_years),
            "genres": ["|".join(_GENRES[row]) for row in has_genre],
        }
    )
    header = ",".join(table.column_names).encode() + LINE_END
    return Catalogue(movie_ids, has_genre, release_years, {MOVIES_FILE: header + csv_rows(table)})


def csv_rows(table: pa.Table) -> bytes:
    """The rows of a table as csv, without header or quotes."""
    written = pa.BufferOutputStream()
    csv.write_csv(table, written, csv.WriteOptions(include_header=False, quoting_style="none"))
    # Arrow has no option for line ends.
    rows: bytes = written.getvalue().to_pybytes().replace(b"\n", LINE_END)
    return rows


def _genres(rng: np.random.Generator, n_movies: int) -> NDArray[np.bool_]:
    """One to three genres a movie, some genres far more common: bool [n_movies, genres]."""
    commonness = np.log(rng.permutation(1 / np.arange(1, len(_GENRES) + 1)))
    order = np.argsort(-(commonness + rng.gumbel(size=(n_movies, len(_GENRES)))), axis=1)
    has_genre = np.zeros((n_movies, len(_GENRES)), dtype=np.bool_)
    kept = np.arange(len(_GENRES)) < rng.integers(1, 4, size=(n_movies, 1))
    np.put_along_axis(has_genre, order, kept, axis=1)
    return has_genre


def _release_years(rng: np.random.Generator, n_movies: int) -> NDArray[np.int64]:
    """More recent films are more common."""
    oldest = _LAST_FILM_YEAR - _FIRST_FILM_YEAR
    return _LAST_FILM_YEAR - rng.triangular(0, 0, oldest, size=n_movies).astype(np.int64)


def _titles(rng: np.random.Generator, release_years: NDArray[np.int64]) -> list[str]:
    """Titles such as "The Silent Harbor (1987)"; once all are taken, sequels."""
    plain = [f"The {adjective} {noun}" for adjective in _ADJECTIVES for noun in _NOUNS]
    order = rng.permutation(len(plain))
    titles = []
    for position, year in enumerate(release_years):
        part, index = divmod(position, len(plain))
        sequel = f" {part + 1}" if part else ""
        titles.append(f"{plain[order[index]]}{sequel} ({year})")
    return titles
