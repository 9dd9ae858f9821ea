"""The movies that are most like those that a user has rated."""

from typing import Annotated, Any

import numpy as np
from pydantic import Field
from scipy import sparse

from recommender.configuration import Configuration
from recommender.evaluation.baselines.rating_matrix import common_users, linear_scorer, rating_matrix
from recommender.evaluation.evaluator import Scorer
from recommender.features.transformed_examples import History
from recommender.retrieval.top_k import top_k


class ItemKnnConfig(Configuration):
    """How movies are compared."""

    neighbours: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(200, 400), min_length=1)
    """Movies that speak for a movie."""
    shrinkage: tuple[Annotated[float, Field(ge=0)], ...] = Field(default=(50.0, 10.0), min_length=1)
    """Users by which the likeness of movies that few have rated is played down."""


def item_knn(history: History, n_movies: int, neighbours: int, shrinkage: float) -> Scorer:
    """Item k-nearest-neighbours: score a movie by its likeness to what a user has rated.

    Movies `i` and `j` that `n_i` and `n_j` users have rated, and `n_ij` both, have the shrunk cosine
    ``n_ij / (sqrt(n_i * n_j) + shrinkage)``. A movie is scored by its most similar ones only (Deshpande and
    Karypis, "Item-Based Top-N Recommendation Algorithms", TOIS 2004; shrinkage: Bell and Koren, "Scalable
    Collaborative Filtering with Jointly Derived Neighborhood Interpolation Weights", ICDM 2007). Memory grows
    with `neighbours` times the number of movies.

    Args:
        history: What each user has rated.
        n_movies: Movies in the catalogue.
        neighbours: Most similar movies that speak for a movie; among equals the first.
        shrinkage: Larger trusts movies with many ratings more.
    """
    return linear_scorer(history, _similarities(rating_matrix(history, n_movies), neighbours, shrinkage))


def _similarities(ratings: Any, neighbours: int, shrinkage: float) -> Any:
    """Sparse float32 [movies, movies], from the neighbour to the movie that it speaks for."""
    n_movies = ratings.shape[1]
    width = min(neighbours, n_movies)
    norms = np.sqrt(ratings.sum(axis=0, dtype=np.float64)).astype(np.float32)
    columns, values = [], []
    for start, stop, common in common_users(ratings):
        lengths = norms[start:stop, np.newaxis] * norms + np.float32(shrinkage)
        # Movies that nobody has rated have nobody in common with any, and length 0.
        similar = np.divide(common, lengths, out=common, where=common > 0)
        similar[np.arange(stop - start), np.arange(start, stop)] = 0.0
        nearest, similarity = top_k(similar, width)
        columns.append(nearest.ravel())
        values.append(similarity.ravel())
    rows = np.repeat(np.arange(n_movies), width)
    nearest, similarity = np.concatenate(columns), np.concatenate(values)
    weights = sparse.csr_array((similarity, (nearest, rows)), shape=(n_movies, n_movies))
    weights.eliminate_zeros()
    return weights
