"""What any model has to beat."""

import numpy as np
from scipy import sparse

from recommender.evaluation.evaluator import Scorer
from recommender.features.transformed_examples import History


def most_popular(history: History, n_movies: int) -> Scorer:
    """Score every movie by its number of ratings, for everybody alike."""
    counts = np.bincount(history.movie_index, minlength=n_movies).astype(np.float32)
    return lambda start, stop: np.broadcast_to(counts, (stop - start, n_movies))


def ease(history: History, n_movies: int, regularization: float) -> Scorer:
    """EASE: a linear autoencoder in closed form (Steck, "Embarrassingly Shallow Autoencoders", WWW 2019).

    With the Gram matrix ``G = X'X + regularization * I`` and ``P = inverse(G)``, movie `i` speaks for movie
    `j` with the weight ``-P[i, j] / P[j, j]``, and never for itself. Takes three movies x movies matrices
    of float64.

    Args:
        history: What each user has rated.
        n_movies: Movies in the catalogue.
        regularization: Added to the diagonal; larger trusts popular movies more.
    """
    ratings = sparse.csr_array(
        (np.ones(len(history.movie_index), np.float32), history.movie_index, history.row_splits),
        shape=(history.n_users, n_movies),
    )
    gram = (ratings.T @ ratings).toarray().astype(np.float64)
    gram[np.diag_indices(n_movies)] += regularization
    inverse = np.linalg.inv(gram)
    weights = (-inverse / np.diag(inverse)).astype(np.float32)
    weights[np.diag_indices(n_movies)] = 0.0
    return lambda start, stop: ratings[start:stop] @ weights
