"""What users have rated, as arrays, for whoever has no need of the tables that it comes from."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    # Reading tables takes Ibis, which the service does without.
    from recommender.features.transformed_examples import Interactions


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
