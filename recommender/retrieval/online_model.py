"""What a release knows how to compute for a history that it was not made with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from recommender.features.history_features import HistoryFeatures
from recommender.retrieval.lite_model import LiteModel

UNKNOWN: Final = -1
"""The position of a user that training does not know."""


@dataclass(frozen=True)
class OnlineModel:
    """The user tower and the ranking head, for one user at a time.

    Attributes:
        user_tower: From a history to the user's vector.
        ranking_head: From a history and movies to predicted ratings.
        features: From a history to the user's features.
        user_shares: From a history to what each movie adds to the user's vector; None where a release was
            made without.
    """

    user_tower: LiteModel
    ranking_head: LiteModel
    features: HistoryFeatures
    user_shares: LiteModel | None = None

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save_online_model` has written.

        Raises:
            DataError: the features are missing or hold something else.
            ReleaseError: a model is missing or cannot be run.
        """
        shares = folder / "user_shares.tflite"
        return cls(
            user_shares=LiteModel(shares) if shares.exists() else None,
            user_tower=LiteModel(folder / "user_tower.tflite"),
            ranking_head=LiteModel(folder / "ranking_head.tflite"),
            features=HistoryFeatures.load(folder / "features.npz"),
        )

    def user_vector(
        self,
        user_index: int,
        movie_index: npt.NDArray[np.int32],
        rating: npt.NDArray[np.float32],
        timestamp: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.float32]:
        """The vector of a user who has rated these movies.

        Args:
            user_index: The user's position, or `UNKNOWN`.
            movie_index: int32 [ratings], 1 or more, positions of movies, oldest first.
            rating: float32 [ratings], in stars.
            timestamp: int64 [ratings], Unix seconds, 0 where that is not known.

        Returns:
            float32 [dimension]; 0 where the tower knows nothing of the user.
        """
        return self.user_tower(**self._inputs(user_index, movie_index, rating, timestamp))["embedding"]

    def shares(
        self,
        user_index: int,
        movie_index: npt.NDArray[np.int32],
        rating: npt.NDArray[np.float32],
        timestamp: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.float32] | None:
        """What each rated movie adds to the vector of a user: see `UserTower.shares`.

        Args:
            user_index: As for `user_vector`.
            movie_index: As for `user_vector`.
            rating: As for `user_vector`.
            timestamp: As for `user_vector`.

        Returns:
            float32 [ratings, dimension]; None where the release was made without `user_shares`.
        """
        if self.user_shares is None:
            return None
        return self.user_shares(**self._inputs(user_index, movie_index, rating, timestamp))["shares"]

    def _inputs(
        self,
        user_index: int,
        movie_index: npt.NDArray[np.int32],
        rating: npt.NDArray[np.float32],
        timestamp: npt.NDArray[np.int64],
    ) -> dict[str, npt.NDArray[Any]]:
        numbers, genres = self.features.of(movie_index, rating, timestamp)
        return {
            "user_index": np.array(user_index, np.int32),
            "history": movie_index,
            "history_rating": rating,
            "user_numbers": numbers,
            "user_genres": genres,
        }

    def ratings(
        self,
        user_index: int,
        movie_index: npt.NDArray[np.int32],
        rating: npt.NDArray[np.float32],
        candidates: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.float32]:
        """What a user who has rated these movies would give to others.

        Args:
            user_index: The user's position, or `UNKNOWN`.
            movie_index: int32 [ratings], positions of movies.
            rating: float32 [ratings], in stars.
            candidates: int64 [candidates], 1 or more, positions of movies.

        Returns:
            float32 [candidates], in stars.
        """
        answer = self.ranking_head(
            user_index=np.array(user_index, np.int32),
            history=movie_index,
            history_rating=rating,
            movie_index=candidates.astype(np.int32),
        )
        return answer["rating"]
