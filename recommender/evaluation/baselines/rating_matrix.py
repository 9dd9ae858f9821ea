"""Who has rated what, as a sparse matrix, and scores that are linear in it."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.evaluation.evaluator import Scorer
from recommender.features.transformed_examples import History

_BLOCK_ELEMENTS: Final = 2**24
"""Pairs of movies counted at a time: 64 MiB as float32."""


def rating_matrix(history: History, n_movies: int) -> Any:
    """A sparse float32 [users, movies], 1 where the user has rated the movie."""
    return sparse.csr_array(
        (np.ones(len(history.movie_index), np.float32), history.movie_index, history.row_splits),
        shape=(history.n_users, n_movies),
    )


def common_users(ratings: Any) -> Iterator[tuple[int, int, npt.NDArray[np.float32]]]:
    """Count the users that have rated both movies, for every pair, a block of movies at a time.

    Args:
        ratings: Sparse [users, movies], as `rating_matrix` gives it.

    Yields:
        The first movie of the block, the one after its last, and float32 [movies of the block, movies].
    """
    n_movies = ratings.shape[1]
    by_movie = ratings.T.tocsr()
    block = max(1, _BLOCK_ELEMENTS // n_movies)
    for start in range(0, n_movies, block):
        stop = min(start + block, n_movies)
        yield start, stop, (by_movie[start:stop] @ ratings).toarray()


def linear_scorer(history: History, weights: Any) -> Scorer:
    """Score a movie by the sum of its weights from the movies that a user has rated.

    Args:
        history: What each user has rated; need not be what the weights were fitted on.
        weights: Dense or sparse float32 [movies, movies], from the rated movie to the scored one.
    """
    ratings = rating_matrix(history, weights.shape[0])

    def score(start: int, stop: int) -> npt.NDArray[np.float32]:
        scores = ratings[start:stop] @ weights
        return scores.toarray() if sparse.issparse(scores) else np.asarray(scores)

    return score
