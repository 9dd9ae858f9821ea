"""A linear model in closed form."""

import logging
from typing import Annotated, Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy.linalg import lapack

from recommender.configuration import Configuration
from recommender.errors import TrainingError
from recommender.evaluation.baselines.rating_matrix import common_users, linear_scorer, rating_matrix
from recommender.evaluation.evaluator import Scorer
from recommender.features.transformed_examples import History

logger = logging.getLogger(__name__)

_GIGABYTE: Final = 1e9
_FLOAT32_BYTES: Final = 4
_MIRRORED_ROWS: Final = 1024


class EaseConfig(Configuration):
    """How strongly EASE is held back, and how much memory it may take."""

    regularization: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(500.0, 50.0, 100.0, 200.0, 300.0, 800.0, 1200.0, 2000.0), min_length=1
    )
    """Added to the diagonal of the Gram matrix; larger trusts movies with many ratings more."""
    memory_gb: float = Field(default=8.0, gt=0)
    """Most gigabytes that its matrix may take, 4 bytes for each pair of movies: 8 are enough for 44,000
    movies, and the 62,423 of MovieLens 25M take 15.6."""


def ease(
    history: History, n_movies: int, regularization: float, memory_gb: float = EaseConfig().memory_gb
) -> Scorer:
    """Score users by the weights of `ease_weights`.

    Args:
        history: What each user has rated.
        n_movies: Movies in the catalogue.
        regularization: Added to the diagonal; larger trusts movies with many ratings more.
        memory_gb: Most gigabytes that the matrix may take.

    Raises:
        TrainingError: it would take more memory than it may.
    """
    return linear_scorer(history, ease_weights(history, n_movies, regularization, memory_gb))


def ease_weights(
    history: History, n_movies: int, regularization: float, memory_gb: float = EaseConfig().memory_gb
) -> npt.NDArray[np.float32]:
    """EASE: a linear autoencoder in closed form (Steck, "Embarrassingly Shallow Autoencoders", WWW 2019).

    With the Gram matrix ``G = X'X + regularization * I`` and ``P = inverse(G)``, movie `i` speaks for movie
    `j` with the weight ``-P[i, j] / P[j, j]``, and never for itself. One matrix of movies x movies float32 is
    all the memory it takes, beside blocks of a few hundred megabytes: the Gram matrix is counted block by
    block into it, and inverted and scaled where it is (Cholesky, LAPACK's `spotrf` and `spotri`).

    Args:
        history: What each user has rated.
        n_movies: Movies in the catalogue.
        regularization: Added to the diagonal; larger trusts movies with many ratings more.
        memory_gb: Most gigabytes that the matrix may take.

    Returns:
        float32 [movies, movies], from the rated movie to the scored one.

    Raises:
        TrainingError: it would take more memory than it may, or the regularization is too small for float32.
    """
    needed = n_movies**2 * _FLOAT32_BYTES / _GIGABYTE
    if needed > memory_gb:
        raise TrainingError(
            f"EASE on {n_movies:,} movies needs {needed:.1f} GB for its matrix, and ease.memory_gb is "
            f"{memory_gb:g}: raise it if the machine has that much, or leave EASE out."
        )
    logger.info("EASE on %d movies needs %.3g GB for its matrix", n_movies, needed)
    return ease_weights_of(gram_matrix(rating_matrix(history, n_movies)), regularization)


def gram_matrix(rated: Any) -> npt.NDArray[np.float32]:
    """``X'X``, block by block.

    Args:
        rated: float32 [users, movies], sparse: what each user's rating of each movie counts.

    Returns:
        float32 [movies, movies].
    """
    matrix = np.empty((rated.shape[1], rated.shape[1]), np.float32)
    for start, stop, common in common_users(rated):
        matrix[start:stop] = common
    return matrix


def ease_weights_of(matrix: npt.NDArray[np.float32], regularization: float) -> npt.NDArray[np.float32]:
    """EASE's weights of a Gram matrix, which they take the place of.

    Args:
        matrix: As `gram_matrix` gives it; its memory holds the weights afterwards.
        regularization: Added to the diagonal; larger trusts movies with many ratings more.

    Returns:
        float32 [movies, movies], from the rated movie to the scored one.

    Raises:
        TrainingError: the regularization is too small for float32.
    """
    diagonal = np.einsum("ii->i", matrix)
    diagonal += np.float32(regularization)
    _invert(matrix, regularization)
    matrix /= -diagonal.copy()
    diagonal[:] = 0.0
    return matrix


def movies_with_room(
    history: History, n_movies: int, memory_gb: float, name: str, *, matrices: int = 1
) -> npt.NDArray[np.int64]:
    """The movies with most ratings, as many as there is room for matrices of them.

    Args:
        history: What each user has rated.
        n_movies: Movies in the catalogue.
        memory_gb: Most gigabytes that the matrices may take.
        name: Of what is made of them, for the log.
        matrices: How many there are at a time, float32 [movies, movies].

    Returns:
        int64, ascending positions of movies, each with ratings.
    """
    counts = np.bincount(history.movie_index, minlength=n_movies)
    n_rated = np.count_nonzero(counts)
    most = int((memory_gb * _GIGABYTE / (matrices * _FLOAT32_BYTES)) ** 0.5)
    if most < n_rated:
        logger.info(
            "%s of the %s movies with most ratings, of %s: memory_gb is %g",
            name,
            f"{most:,}",
            f"{n_movies:,}",
            memory_gb,
        )
    return np.sort(np.argsort(-counts, kind="stable")[: min(most, n_rated)])


def _invert(matrix: npt.NDArray[np.float32], regularization: float) -> None:
    """Replace a symmetric positive definite matrix by its inverse, in its own memory."""
    # LAPACK goes by columns: its lower triangle is the upper one of the same memory seen by rows.
    factor, failed = lapack.spotrf(matrix.T, lower=1, clean=0, overwrite_a=1)
    if not failed:
        _, failed = lapack.spotri(factor, lower=1, overwrite_c=1)
    if failed:
        raise TrainingError(
            f"EASE cannot be computed in float32 with ease.regularization={regularization:g}: raise it."
        )
    n = len(matrix)
    for start in range(0, n, _MIRRORED_ROWS):
        stop = min(start + _MIRRORED_ROWS, n)
        matrix[stop:, start:stop] = matrix[start:stop, stop:].T
        square = matrix[start:stop, start:stop]
        square[:] = np.triu(square) + np.triu(square, 1).T
