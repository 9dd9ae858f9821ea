"""What Transform wrote, read back as arrays: the one door from tables to models and metrics."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, Self, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from recommender.data.columns import Columns
from recommender.errors import DataError
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
class History:
    """What each user has rated, as compressed sparse rows.

    Attributes:
        row_splits: int64 [users + 1], where each user's movies begin and end.
        movie_index: int32 [ratings], oldest first within a user.
        rating: float32 [ratings].
    """

    row_splits: npt.NDArray[np.int64]
    movie_index: npt.NDArray[np.int32]
    rating: npt.NDArray[np.float32]

    @classmethod
    def of(cls, interactions: "Interactions", n_users: int) -> Self:
        """Group interactions by user, keeping their order in time."""
        order = np.lexsort((interactions.movie_index, interactions.timestamp, interactions.user_index))
        counts = np.bincount(interactions.user_index, minlength=n_users)
        return cls(
            row_splits=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            movie_index=interactions.movie_index[order],
            rating=interactions.rating[order],
        )

    @property
    def n_users(self) -> int:
        """Users, with or without ratings."""
        return len(self.row_splits) - 1

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Ratings of each user, int64 [users]."""
        return np.diff(self.row_splits)

    def rows(self, start: int, stop: int) -> "History":
        """The histories of users `start` to `stop`, without `stop`."""
        begin, end = self.row_splits[start], self.row_splits[stop]
        return History(
            self.row_splits[start : stop + 1] - begin, self.movie_index[begin:end], self.rating[begin:end]
        )

    def user_of_each(self) -> npt.NDArray[np.int64]:
        """The user's position for each rating, int64 [ratings]."""
        return np.repeat(np.arange(self.n_users), self.lengths)

    def of_users(self, chosen: npt.NDArray[np.int32] | npt.NDArray[np.int64]) -> "History":
        """The histories of some users, one row each, in their order."""
        lengths = self.lengths[chosen]
        row_splits = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        place = np.arange(row_splits[-1]) + np.repeat(self.row_splits[chosen] - row_splits[:-1], lengths)
        return History(row_splits, self.movie_index[place], self.rating[place])

    def of_movies(self, chosen: npt.NDArray[np.int64], n_movies: int) -> "History":
        """The ratings of some movies only, which are numbered anew in their order.

        Args:
            chosen: int64, ascending positions.
            n_movies: Movies in the catalogue.
        """
        position = np.full(n_movies, -1, np.int32)
        position[chosen] = np.arange(len(chosen))
        movie_index = position[self.movie_index]
        keep = movie_index >= 0
        before = np.concatenate([[0], np.cumsum(keep)])
        return History(before[self.row_splits], movie_index[keep], self.rating[keep])

    def pieces(self, length: int) -> "History":
        """The same ratings with every history cut into pieces, each a row of its own.

        Args:
            length: Ratings that a piece should have; a user's pieces are as equal as can be. Users without
                ratings have none.
        """
        lengths = self.lengths
        counts = np.where(lengths > 0, np.maximum(np.rint(lengths / length), 1), 0).astype(np.int64)
        user = np.repeat(np.arange(self.n_users), counts)
        number = np.arange(len(user)) - np.repeat(np.cumsum(counts) - counts, counts)
        # Each piece ends after its share of the user's ratings, rounded down.
        ends = self.row_splits[user] + (number + 1) * lengths[user] // counts[user]
        return History(np.append(0, ends), self.movie_index, self.rating)


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
