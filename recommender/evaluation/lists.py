"""What lists of recommendations are like, whether they hit or not: how novel, how popular, how alike.

Every function takes `recommended`, int [users, places], movie positions, best first, -1 for an empty place,
and answers for each user, if not said otherwise.
"""

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.features.transformed_examples import History

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64] | npt.NDArray[np.int32]
Matrix = npt.NDArray[np.float32] | npt.NDArray[np.float64]

SMOOTHING = 0.01
"""Share of the history's genres that Steck mixes into those of the list, so that none has no share."""


def novelty(recommended: Integers, popularity: Integers, n_users: int) -> Floats:
    """How surprising the movies of a list are: mean self-information in bits.

    A movie that `c` of `n` users have rated carries ``log2(n / c)`` bits (Zhou et al., "Solving the apparent
    diversity-accuracy dilemma of recommender systems", PNAS 2010): 0 for one that everybody knows, one more
    each time half as many do. A movie nobody has rated counts as rated once.

    Args:
        recommended: As the module says.
        popularity: int [movies], users who have rated each movie in training.
        n_users: Users in training.

    Returns:
        float64 [users]; 0 for an empty list.
    """
    return _means(np.log2(n_users / np.maximum(popularity, 1)), recommended)


def popularity_lift(recommended: Integers, history: History, popularity: Integers) -> float:
    """How much more popular the recommended movies are than those the users have rated.

    Mean popularity of a user's list, averaged over users, divided by mean popularity of a user's history,
    averaged over users (Abdollahpouri et al., "The connection between popularity bias, calibration, and
    fairness in recommendation", RecSys 2020; they subtract 1). 1 is no lift.

    Args:
        recommended: As the module says.
        history: What each of these users has rated in training.
        popularity: int [movies], users who have rated each movie in training.

    Returns:
        One number; 0 where no user has a history.
    """
    counts = popularity.astype(np.float64)
    has_history = history.lengths > 0
    if not has_history.any():
        return 0.0
    sums = _history_matrix(history, len(popularity)) @ counts
    known = sums[has_history] / history.lengths[has_history]
    return float(_means(counts, recommended[has_history]).mean() / known.mean())


def diversity(recommended: Integers, genres: Matrix) -> Floats:
    """How different the movies of a list are: 1 - the mean cosine of the genre vectors of its pairs.

    The intra-list similarity of Ziegler et al., "Improving recommendation lists through topic
    diversification", WWW 2005, taken from 1. Movies without a genre are like no other.

    Args:
        recommended: As the module says.
        genres: float [movies, genres], 1 where a movie has the genre.

    Returns:
        float64 [users]; 0 for a list with fewer than two movies.
    """
    lengths = np.sqrt((genres.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
    unit = np.divide(genres, lengths, out=np.zeros(genres.shape), where=lengths > 0)
    # The cosines of all pairs at once: the squared length of a sum is all cosines, each movie's own included.
    total = _sums(unit, recommended)
    own = _sums((unit**2).sum(axis=1, keepdims=True), recommended)[:, 0]
    n = (recommended >= 0).sum(axis=1)
    pairs = n * (n - 1) / 2
    cosines = ((total**2).sum(axis=1) - own) / 2
    return np.where(pairs > 0, 1 - cosines / np.maximum(pairs, 1), 0.0)


def genre_shares(genres: Matrix) -> Floats:
    """Each movie divided equally among its genres, float64 [movies, genres]; 0 for one without."""
    n = genres.sum(axis=1, keepdims=True, dtype=np.float64)
    shares: Floats = np.divide(genres, n, out=np.zeros(genres.shape), where=n > 0)
    return shares


def taste(history: History, shares: Floats) -> Floats:
    """The share of each genre in what each user has rated, float64 [users, genres]; 0 without a history."""
    return _shares(_history_matrix(history, len(shares)) @ shares)


def miscalibration(recommended: Integers, tastes: Floats, shares: Floats) -> Floats:
    """How far the genres of a list are from those of the user's history: 0 where in proportion.

    The Kullback-Leibler divergence ``sum_g p(g) ln(p(g) / q'(g))`` of the history's shares `p` from the
    list's shares ``q' = 0.99 q + 0.01 p`` (Steck, "Calibrated recommendations", RecSys 2018).

    Args:
        recommended: As the module says.
        tastes: float64 [users, genres], as `taste` gives them.
        shares: float64 [movies, genres], as `genre_shares` gives them.

    Returns:
        float64 [users], at most ln(100) = 4.6; 0 for a user without a history.
    """
    listed = (1 - SMOOTHING) * _shares(_sums(shares, recommended)) + SMOOTHING * tastes
    liked = tastes > 0
    ratio = np.divide(tastes, listed, out=np.ones(tastes.shape), where=liked)
    divergence: Floats = (tastes * np.log(ratio)).sum(axis=1)
    return divergence


def _history_matrix(history: History, n_movies: int) -> sparse.csr_array:
    return sparse.csr_array(
        (np.ones(len(history.movie_index)), history.movie_index, history.row_splits),
        shape=(history.n_users, n_movies),
    )


def _sums(vectors: Floats, recommended: Integers) -> Floats:
    """The sums of the lists' vectors, float64 [users, columns]."""
    # An empty place, -1, looks at the extra last row, which is 0.
    padded = np.vstack([vectors, np.zeros(vectors.shape[1])])
    total = np.zeros((len(recommended), vectors.shape[1]))
    # One place after the other: never as much as users x places x columns in memory.
    for place in range(recommended.shape[1]):
        total += padded[recommended[:, place]]
    return total


def _means(values: Floats, recommended: Integers) -> Floats:
    """The means of the lists' values, float64 [users]; 0 for an empty list."""
    n = (recommended >= 0).sum(axis=1)
    means: Floats = _sums(values[:, np.newaxis], recommended)[:, 0] / np.maximum(n, 1)
    return means


def _shares(sums: Floats) -> Floats:
    total = sums.sum(axis=1, keepdims=True)
    shares: Floats = np.divide(sums, total, out=np.zeros(sums.shape), where=total > 0)
    return shares
