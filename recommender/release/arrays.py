"""Vectors and histories of a release as arrays that processes map into memory and share.

The tables are what a release says; these are made of them when it is written, so that a service neither
decodes nor copies them: it looks at the files' own bytes, and several processes at the same. Memory that is
mapped is taken only where somebody looks, though with 16 pages around it.
"""

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recommender.data.columns import Columns
from recommender.errors import ReleaseError
from recommender.release.manifest import WRITE_AGAIN, Manifest
from recommender.release.positions import positions_of
from recommender.release.tables import (
    HISTORY_SCHEMA,
    MOVIES_SCHEMA,
    USERS_SCHEMA,
    numbers,
    read_columns,
    read_ids,
    read_vectors,
)

_MAPPED_AROUND: Final = 16 * 4096
"""Bytes that the system maps around each place that is looked at."""


@dataclass(frozen=True)
class ReleaseArrays:
    """What is mapped into memory. A number has as few bytes as hold every one of its array.

    Attributes:
        movie_vectors: float32 [movies, dimension].
        user_vectors: float32 [users, dimension].
        raters: int64 [raters], ascending: the ids of everybody who rated, also those without a vector.
        offsets: int64 [raters + 1]; rater `i` gave the ratings from `offsets[i]` to before `offsets[i + 1]`.
        movies: unsigned [ratings], rows of the movies, oldest rating first within a rater.
        ratings: unsigned [ratings], places in `rating_values`.
        rating_values: float32 [values], every rating that was given, ascending.
        timestamps: int32 or int64 [ratings], Unix seconds.
    """

    movie_vectors: NDArray[np.float32]
    user_vectors: NDArray[np.float32]
    raters: NDArray[np.int64]
    offsets: NDArray[np.int64]
    movies: NDArray[np.unsignedinteger]
    ratings: NDArray[np.unsignedinteger]
    rating_values: NDArray[np.float32]
    timestamps: NDArray[np.signedinteger]

    @classmethod
    def open(cls, folder: Path, manifest: Manifest) -> Self:
        """Map what `write_arrays` has written.

        Raises:
            ReleaseError: a file holds something else, or they do not go together with the manifest.
        """
        try:
            opened = cls(**{field.name: _mapped(folder / f"{field.name}.npy") for field in fields(cls)})
        except (OSError, EOFError, ValueError) as error:
            raise ReleaseError(f"{folder} holds no arrays of a release: {error}. {WRITE_AGAIN}") from error
        counts, dimension = manifest.counts, manifest.dimension
        expected = {
            "movie_vectors": (counts.movies, dimension if counts.movies else 0),
            "user_vectors": (counts.users, dimension if counts.users else 0),
            "offsets": (len(opened.raters) + 1,),
            "movies": (counts.ratings,),
            "ratings": (counts.ratings,),
            "timestamps": (counts.ratings,),
        }
        for name, shape in expected.items():
            found = getattr(opened, name).shape
            if found != shape:
                raise ReleaseError(
                    f"{folder / name}.npy has the shape {found} where the manifest says {shape}. "
                    f"{WRITE_AGAIN}"
                )
        for name, below in (("movies", counts.movies), ("ratings", len(opened.rating_values))):
            if getattr(opened, name).max(initial=0) >= max(below, 1):
                raise ReleaseError(f"{folder / name}.npy names what is not there. {WRITE_AGAIN}")
        offsets = opened.offsets
        if offsets[0] != 0 or offsets[-1] != counts.ratings or np.any(np.diff(offsets) < 0):
            raise ReleaseError(f"{folder / 'offsets.npy'} does not divide the ratings. {WRITE_AGAIN}")
        return opened


def write_arrays(movies: Path, users: Path, history: Path, folder: Path) -> None:
    """Make the arrays of a release from its tables.

    Args:
        movies: `movies.parquet`.
        users: `users.parquet`.
        history: `history.parquet`.
        folder: Made; gets a file in NumPy's npy format for each field of `ReleaseArrays`.

    Raises:
        ReleaseError: a table cannot be read, is not sorted, lacks a value, or rates a movie that is none, or
            twice.
    """
    folder.mkdir()

    def save(**arrays: NDArray[Any]) -> None:
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array)
        # One after the other, and nothing left of it: reading takes several times what is kept.
        pa.default_memory_pool().release_unused()

    movie_ids = read_ids(movies, MOVIES_SCHEMA, Columns.MOVIE_ID)
    read_ids(users, USERS_SCHEMA, Columns.USER_ID)
    save(movie_vectors=read_vectors(movies, MOVIES_SCHEMA))
    save(user_vectors=read_vectors(users, USERS_SCHEMA))

    def of_history(column: str) -> NDArray[Any]:
        return numbers(read_columns(history, HISTORY_SCHEMA, [column]), column, history)

    raters = of_history(Columns.USER_ID)
    if np.any(np.diff(raters) < 0):
        raise ReleaseError(f"{history} is not sorted by user_id. Write the release again with the pipeline.")
    starts = np.flatnonzero(np.diff(raters, prepend=-1))
    save(raters=raters[starts], offsets=np.append(starts, len(raters)))
    rater = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(raters))))

    rated = of_history(Columns.MOVIE_ID)
    positions = positions_of(rated, movie_ids)
    if np.any(positions < 0):
        row = int(np.flatnonzero(positions < 0)[0])
        raise ReleaseError(
            f"{history} has a rating of movie {rated[row]} (row {row}), which {movies} does not hold. "
            "Write the release again with the pipeline."
        )
    pairs = np.sort(rater * len(movie_ids) + positions)
    twice = pairs[1:][np.diff(pairs) == 0]
    if len(twice):
        user, movie = divmod(int(twice[0]), len(movie_ids))
        raise ReleaseError(
            f"{history} has two ratings of movie {movie_ids[movie]} by user {raters[starts][user]}. "
            "Write the release again with the pipeline."
        )
    save(movies=positions.astype(np.min_scalar_type(max(len(movie_ids) - 1, 0))))

    ratings = read_columns(history, HISTORY_SCHEMA, [Columns.RATING])
    values = np.sort(pc.unique(ratings[Columns.RATING]).to_numpy())
    given = numbers(ratings, Columns.RATING, history)
    places = np.searchsorted(values, given).astype(np.min_scalar_type(max(len(values) - 1, 0)))
    save(rating_values=values, ratings=places)

    timestamps = of_history(Columns.TIMESTAMP)
    in_half = timestamps.astype(np.int32)
    save(timestamps=in_half if np.array_equal(in_half, timestamps) else timestamps)


class FewRows:
    """A few rows of an array, read from its file: mapped, each would take 64 kB with it.

    Args:
        file: As `write_arrays` has written it.
        mapped: The same, mapped.
    """

    def __init__(self, file: Path, mapped: NDArray[Any]) -> None:
        self._file = file.open("rb", buffering=0)
        self._mapped = mapped
        self._row_bytes = mapped.strides[0]
        self._start = file.stat().st_size - mapped.nbytes

    def between(self, start: int, stop: int) -> NDArray[Any]:
        """The rows from `start` to before `stop`, read-only; mapped where they are many."""
        size = (stop - start) * self._row_bytes
        if size > _MAPPED_AROUND:
            return self._mapped[start:stop]
        read = os.pread(self._file.fileno(), size, self._start + start * self._row_bytes)
        return np.frombuffer(read, self._mapped.dtype).reshape(-1, *self._mapped.shape[1:])


def _mapped(file: Path) -> NDArray[Any]:
    # A plain view: slices of a memmap are memmaps, which are slow to make.
    return np.asarray(np.load(file, mmap_mode="r", allow_pickle=False))
