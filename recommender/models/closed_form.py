"""What is put beside the learned vectors: scores that are computed at once instead of learned in steps."""

from typing import Final

import numpy as np
import numpy.typing as npt

from recommender.features.transformed_examples import History, Interactions
from recommender.models.configuration import TwoTowerConfig
from recommender.models.low_rank_ease import LowRankEase, low_rank_ease
from recommender.models.two_tower import TwoTowerModel

_DAY_SECONDS: Final = 86_400
_LOOKED_AT: Final = 500
"""Users whose scores tell how far scores differ."""
_UNKNOWN: Final = 1
"""Rows before the first movie's, for movies that training does not know."""


class ClosedForm:
    """Computes what goes beside the learned vectors of a model, and brings it to their scale.

    A score is then the sum of the learned one, of EASE's and of the movie's recent popularity, each with a
    standard deviation of its own weight in that of the learned one; and still one dot product.

    Args:
        config: Which of them, and how.
        ratings: What to compute them from. Nothing that is to be predicted may be in it.
        history: The same ratings, one row a user.
        n_movies: Movies in the catalogue.
    """

    def __init__(
        self, config: TwoTowerConfig, ratings: Interactions, history: History, n_movies: int
    ) -> None:
        self._config = config
        self._counts = np.bincount(ratings.movie_index, minlength=n_movies)
        self._ease: LowRankEase | None = None
        if config.low_rank_ease is not None:
            self._ease = low_rank_ease(history, n_movies, config.low_rank_ease)
        self._recent: npt.NDArray[np.float32] | None = None
        if config.recent_popularity is not None:
            newest = ratings.timestamp.max(initial=0)
            late = ratings.timestamp > newest - config.recent_popularity.days * _DAY_SECONDS
            counts = np.bincount(ratings.movie_index[late], minlength=n_movies)
            self._recent = (counts / max(counts.std(), 1e-9)).astype(np.float32)[:, np.newaxis]
        has_ratings = np.flatnonzero(history.lengths)
        self._sample = has_ratings[:: max(1, len(has_ratings) // _LOOKED_AT)].astype(np.int32)
        self._histories = history.of_users(self._sample)

    def put_beside(self, model: TwoTowerModel, recent_weight: float = 0.0) -> None:
        """Set what a model has beside its learned vectors.

        Args:
            model: Whose learned vectors give the scale.
            recent_weight: Of recent popularity.
        """
        if self._config.movie_tower.new_movies is not None:
            _expect(model, self._counts, self._config.movie_tower.new_movies)
        if self._ease is None and self._recent is None:
            return
        dimension = self._config.dimension
        if self._ease is not None:
            model.user_tower.ease.assign(_below_unknown(self._ease.of_history))
        users = model.user_vectors(self._histories, self._sample)
        movies = model.movie_vectors()
        scale = np.std(users[:, :dimension] @ movies[:, :dimension].T)
        columns = []
        if self._ease is not None:
            assert self._config.low_rank_ease is not None
            of_users = users[:, dimension : dimension + self._ease.of_movie.shape[1]]
            ease_scale = max(np.std(of_users @ self._ease.of_movie.T), 1e-9)
            columns.append(self._ease.of_movie * (self._config.low_rank_ease.weight * scale / ease_scale))
        if self._recent is not None:
            columns.append(self._recent * (recent_weight * scale))
        model.movie_tower.computed.assign(_below_unknown(np.hstack(columns)))


def _expect(model: TwoTowerModel, counts: npt.NDArray[np.int64], regularization: float) -> None:
    """Set what a model expects of a movie that nobody has rated: ``(F'DF + r I)^-1 F'DV``.

    `F` describes the movies, `V` are their learned vectors, and `D` are their ratings, 1 on average.
    """
    described = model.movie_tower.described(model.movie_inputs).numpy().astype(np.float64)
    weight = (counts / counts.mean())[:, np.newaxis]
    vectors = model.movie_tower.learned(model.movie_inputs).numpy()
    gram = described.T @ (described * weight) + regularization * np.eye(described.shape[1])
    model.movie_tower.of_new.assign(np.linalg.solve(gram, described.T @ (vectors * weight)))


def _below_unknown(of_movies: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.pad(of_movies, ((_UNKNOWN, 0), (0, 0)))
