"""The user features of a history that Transform has never seen."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from recommender.errors import DataError

if TYPE_CHECKING:
    # Reading tables takes Ibis, which the service does without.
    from recommender.features.transformed_examples import TransformedExamples

SECONDS_PER_DAY: Final = 86_400
DAYS_PER_MONTH: Final = 30.4375
TOP_GENRES: Final = 3
NO_TIME: Final = 0
"""Stands where it is not known when a rating was given."""


@dataclass(frozen=True)
class HistoryFeatures:
    """Computes a user's features from any history, by the formulas of `recommender.features.user`.

    Attributes:
        movie_genres: bool [movies, genres], in the order of the vocabulary.
        newest: When the newest training rating was given, Unix seconds: recency is counted back from here,
            and is 0 for who has rated since.
    """

    movie_genres: npt.NDArray[np.bool_]
    newest: int

    @classmethod
    def of_examples(cls, examples: "TransformedExamples") -> Self:
        """What Transform's own features were computed from."""
        times = examples.interactions("train").timestamp
        return cls(examples.movie_genres > 0, int(times.max(initial=NO_TIME)))

    def of(
        self,
        movie_index: npt.NDArray[np.int32],
        rating: npt.NDArray[np.float32],
        timestamp: npt.NDArray[np.int64],
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """The features of one user.

        Args:
            movie_index: int32 [ratings], 1 or more, positions of movies.
            rating: float32 [ratings], in stars.
            timestamp: int64 [ratings], Unix seconds, `NO_TIME` where that is not known. Who has no time at
                all counts as somebody who has just rated everything at once.

        Returns:
            `user_numbers` float32 [6], in the order of `USER_NUMBERS`, and `user_genres` float32 [genres].
        """
        count = len(rating)
        times = timestamp[timestamp != NO_TIME]
        first, last = (int(times.min()), int(times.max())) if len(times) else (self.newest, self.newest)
        months = (last - first) / (SECONDS_PER_DAY * DAYS_PER_MONTH)
        numbers = [
            rating.mean(dtype=np.float64),
            rating.std(dtype=np.float64),
            count,
            count / max(months, 1.0),
            max(self.newest - last, 0) / SECONDS_PER_DAY,
            rating.max() - rating.min(),
        ]
        met = self.movie_genres[movie_index].sum(axis=0)
        genres = np.zeros(len(met), np.float32)
        # Genres are ordered by name, which decides between equal counts.
        most = np.argsort(-met, kind="stable")[:TOP_GENRES]
        genres[most[met[most] > 0]] = 1.0
        return np.array(numbers, np.float32), genres

    def save(self, file: Path) -> None:
        """Write the arrays as they are, in NumPy's npz format."""
        np.savez(file, movie_genres=self.movie_genres, newest=np.array(self.newest))

    @classmethod
    def load(cls, file: Path) -> Self:
        """Read what `save` has written.

        Raises:
            DataError: the file is missing or holds something else.
        """
        try:
            with np.load(file, allow_pickle=False) as arrays:
                return cls(arrays["movie_genres"], int(arrays["newest"]))
        except (OSError, EOFError, ValueError, KeyError, TypeError, BadZipFile) as error:
            raise DataError(
                f"{file} holds no features of movies ({error}): run the Trainer again."
            ) from error
