"""EASE's scores as dot products of short vectors."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from pydantic import Field

from recommender.configuration import Configuration
from recommender.evaluation.baselines.ease import ease_weights_of, gram_matrix, movies_with_room
from recommender.evaluation.baselines.rating_matrix import rating_matrix
from recommender.features.transformed_examples import History


class LowRankEaseConfig(Configuration):
    """How EASE is fitted, how many numbers it is cut to, and how much it counts."""

    rank: int = Field(default=64, ge=1)
    """Numbers that it adds to every vector."""
    weight: float = Field(default=0.4, gt=0)
    """Standard deviation of its scores, in that of the learned ones."""
    piece_length: int | None = Field(default=40, ge=2)
    """Histories are cut into pieces of about so many ratings in the order of time, because what somebody
    rates together belongs together more than what they rate years apart. Left whole if not given."""
    regularization: float = Field(default=200.0, gt=0)
    """Larger trusts movies with many ratings more."""
    memory_gb: float = Field(default=2.0, gt=0)
    """Most gigabytes that it may take while it is computed, 8 bytes a pair of movies: 2 are enough for the
    15,800 movies with most ratings. Rarer movies are left to the learned vectors."""


_MORE: Final = 4
"""One direction in so many is sought in addition, which makes the others exact sooner."""
_FEWEST_MORE: Final = 16
_ITERATIONS: Final = 6
"""Then what is found explains 99.98 % of what the exact directions do, on MovieLens 1M at rank 256."""


@dataclass(frozen=True)
class LowRankEase:
    """Vectors whose dot products are nearly EASE's scores.

    Attributes:
        of_history: float32 [movies, rank], summed over what a user has rated.
        of_movie: float32 [movies, rank], of the movie that is scored.
    """

    of_history: npt.NDArray[np.float32]
    of_movie: npt.NDArray[np.float32]


def low_rank_ease(history: History, n_movies: int, config: LowRankEaseConfig) -> LowRankEase:
    """Fit EASE, then keep of its scores what `rank` directions can tell.

    With `X` the ratings, `W` EASE's weights and `Q` the eigenvectors of ``W' X' X W`` with the largest
    eigenvalues, ``X W Q Q'`` is the closest to the scores ``X W`` that this rank allows (reduced-rank
    regression; Izenman, Journal of Multivariate Analysis 5, 1975). So a history's movies have the vectors
    ``W Q``, and the scored ones ``Q``. It is often better than `W` itself: what is cut away is mostly noise.

    Args:
        history: What each user has rated, oldest first. Nothing that is to be predicted may be in it.
        n_movies: Movies in the catalogue.
        config: How.

    Returns:
        The vectors; 0 for movies without ratings, and for those that memory has no room for.
    """
    chosen = movies_with_room(history, n_movies, config.memory_gb, "low-rank EASE", matrices=2)
    pieces = history.of_movies(chosen, n_movies)
    if config.piece_length is not None:
        pieces = pieces.pieces(config.piece_length)
    gram = gram_matrix(rating_matrix(pieces, len(chosen)))
    weights = ease_weights_of(gram.copy(), config.regularization)
    rank = min(config.rank, len(chosen))
    directions = _directions(gram, weights, rank)
    of_history, of_movie = (np.zeros((n_movies, config.rank), np.float32) for _ in range(2))
    of_history[chosen, :rank] = weights @ directions
    of_movie[chosen, :rank] = directions
    return LowRankEase(of_history, of_movie)


def _directions(
    gram: npt.NDArray[np.float32], weights: npt.NDArray[np.float32], rank: int
) -> npt.NDArray[np.float32]:
    """The eigenvectors of ``W' G W`` with the largest eigenvalues, float32 [movies, rank].

    By subspace iteration (Halko, Martinsson and Tropp, "Finding structure with randomness", SIAM Review 53,
    2011, algorithm 4.4): products of whole matrices, which take a fiftieth of the time that one vector after
    the other does.
    """
    width = min(len(gram), rank + max(_FEWEST_MORE, rank // _MORE))
    # From a fixed start, or the vectors would turn about from run to run.
    basis = np.random.default_rng(0).standard_normal((len(gram), width), np.float32)
    for _ in range(_ITERATIONS):
        basis = np.linalg.qr(basis)[0]
        basis = weights.T @ (gram @ (weights @ basis))
    basis = np.linalg.qr(basis)[0]
    scores = weights @ basis
    _, turned = np.linalg.eigh(scores.T @ (gram @ scores))
    leading: npt.NDArray[np.float32] = basis @ turned[:, ::-1][:, :rank]
    return leading
