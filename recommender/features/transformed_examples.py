"""What Transform wrote, read back as arrays: the one door from tables to models and metrics."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from recommender.data.columns import Columns
from recommender.errors import DataError
from recommender.features.history import History as History  # noqa: PLC0414  read from here by who has examples
from recommender.features.vocabulary import Vocabulary

Part = Literal["train", "validation", "test"]
_Number = TypeVar("_Number", bound=np.generic)

USER_NUMBERS = (
    "rating_mean",
    "rating_std",
    "rating_count",
    "rating_velocity",
    "recency_days",
    "rating_range",
)
"""The numeric user features, in the order in which the user tower takes them."""
MOVIE_NUMBERS = ("popularity", "avg_rating", "rating_std", "rating_count", "release_year", "rating_trend")
"""The numeric movie features, in the order in which the movie tower takes them."""


@dataclass(frozen=True)
class Interactions:
    """Ratings by position instead of id, all arrays of one length.

    Attributes:
        user_index: int32, position in `user_features.parquet`.
        movie_index: int32, position in `movie_features.parquet`.
        rating: float32.
        timestamp: int64, Unix seconds.
    """

    user_index: npt.NDArray[np.int32]
    movie_index: npt.NDArray[np.int32]
    rating: npt.NDArray[np.float32]
    timestamp: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.user_index)

    def none(self) -> "Interactions":
        """No ratings, of the same kind."""
        return Interactions(self.user_index[:0], self.movie_index[:0], self.rating[:0], self.timestamp[:0])

    def known(self) -> "Interactions":
        """Only the ratings whose user and movie training knows."""
        keep = (self.user_index >= 0) & (self.movie_index >= 0)
        return Interactions(
            self.user_index[keep], self.movie_index[keep], self.rating[keep], self.timestamp[keep]
        )

    def __add__(self, other: "Interactions") -> "Interactions":
        return Interactions(
            np.concatenate([self.user_index, other.user_index]),
            np.concatenate([self.movie_index, other.movie_index]),
            np.concatenate([self.rating, other.rating]),
            np.concatenate([self.timestamp, other.timestamp]),
        )


class TransformedExamples:
    """A folder that Transform wrote.

    Args:
        folder: Holds `{train,validation,test}_interactions.parquet`, `user_features.parquet`,
            `movie_features.parquet`, `movies.parquet` and `vocabulary.json`.

    Raises:
        DataError: a file of the folder is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("train_interactions.parquet", "user_features.parquet", "movie_features.parquet"):
            if not (folder / name).is_file():
                raise DataError(f"{folder / name} is missing: run the Transform step again.")

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Genres in the order of `genre_vector`, and the counts of users and movies."""
        return Vocabulary.read(self.folder)

    @cached_property
    def _users(self) -> pa.Table:
        return pq.read_table(self.folder / "user_features.parquet")

    @cached_property
    def _movies(self) -> pa.Table:
        return pq.read_table(self.folder / "movie_features.parquet")

    @cached_property
    def user_ids(self) -> npt.NDArray[np.int64]:
        """Source ids of the users, int64 [users], ascending; a user's position is its index."""
        return _numbers(self._users, Columns.USER_ID, np.int64)

    @cached_property
    def movie_ids(self) -> npt.NDArray[np.int64]:
        """Source ids of the movies, int64 [movies], ascending; a movie's position is its index."""
        return _numbers(self._movies, Columns.MOVIE_ID, np.int64)

    @property
    def n_users(self) -> int:
        """Users that training knows."""
        return int(self._users.num_rows)

    @property
    def n_movies(self) -> int:
        """Movies of the catalogue, rated or not."""
        return int(self._movies.num_rows)

    def interactions(self, part: Part) -> Interactions:
        """The ratings of one part of the split."""
        table = pq.read_table(
            self.folder / f"{part}_interactions.parquet",
            columns=[Columns.USER_INDEX, Columns.MOVIE_INDEX, Columns.RATING, Columns.TIMESTAMP],
        )
        return Interactions(
            _numbers(table, Columns.USER_INDEX, np.int32),
            _numbers(table, Columns.MOVIE_INDEX, np.int32),
            _numbers(table, Columns.RATING, np.float32),
            _numbers(table, Columns.TIMESTAMP, np.int64),
        )

    @cached_property
    def user_numbers(self) -> npt.NDArray[np.float32]:
        """The numeric user features, float32 [users, 6], in the order of `USER_NUMBERS`."""
        return np.column_stack([_numbers(self._users, name, np.float32) for name in USER_NUMBERS])

    @cached_property
    def user_genres(self) -> npt.NDArray[np.float32]:
        """Each user's `top_genres` as a multi-hot, float32 [users, genres]."""
        position = {genre: index for index, genre in enumerate(self.vocabulary.genres)}
        lists = self._users.column("top_genres").combine_chunks()
        row = np.repeat(np.arange(self.n_users), lists.value_lengths().to_numpy(zero_copy_only=False))
        names = lists.flatten().dictionary_encode()
        code = np.array([position[name] for name in names.dictionary.to_pylist()], dtype=np.int64)
        matrix = np.zeros((self.n_users, len(position)), np.float32)
        matrix[row, code[names.indices.to_numpy()]] = 1.0
        return matrix

    @cached_property
    def movie_numbers(self) -> npt.NDArray[np.float32]:
        """The numeric movie features, float32 [movies, 6], in the order of `MOVIE_NUMBERS`.

        A missing value takes the mean of its column.
        """
        columns = np.column_stack([_numbers(self._movies, name, np.float32) for name in MOVIE_NUMBERS])
        known = ~np.isnan(columns)
        means = np.where(known, columns, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        return np.where(known, columns, means).astype(np.float32)

    @cached_property
    def movie_genres(self) -> npt.NDArray[np.float32]:
        """Each movie's `genre_vector`, float32 [movies, genres]."""
        flat = self._movies.column("genre_vector").combine_chunks().flatten()
        vectors: npt.NDArray[np.float32] = flat.to_numpy().astype(np.float32)
        return vectors.reshape(self.n_movies, len(self.vocabulary.genres))


def _numbers(table: pa.Table, name: str, dtype: type[_Number]) -> npt.NDArray[_Number]:
    """One column as an array; a missing value becomes NaN."""
    values: npt.NDArray[_Number] = table.column(name).to_numpy().astype(dtype)
    return values
