"""Matrix factorisation by alternating least squares."""

from typing import Annotated

import numpy as np
from pydantic import Field
from scipy import sparse
from threadpoolctl import threadpool_limits

from recommender.configuration import Configuration
from recommender.evaluation.baselines.rating_matrix import rating_matrix
from recommender.evaluation.evaluator import Scorer, dot_product
from recommender.features.transformed_examples import History


class IalsConfig(Configuration):
    """How iALS is fitted."""

    factors: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(64, 128), min_length=1)
    """Width of the vectors."""
    regularization: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        default=(30.0, 10.0, 100.0), min_length=1
    )
    """Penalty on the squared vectors."""
    alpha: tuple[Annotated[float, Field(gt=0)], ...] = Field(default=(5.0, 10.0), min_length=1)
    """Weight of a rating, where a movie that was not rated has the weight 1."""
    iterations: int = Field(default=15, ge=1)
    """Passes over users and movies."""


def ials(
    history: History,
    n_movies: int,
    *,
    factors: int,
    regularization: float,
    alpha: float,
    iterations: int,
    seed: int,
) -> Scorer:
    """iALS: user and movie vectors that tell the rated movies from all others by least squares.

    Minimises, over users `u` and all movies `i` with ``x = 1`` and ``c = alpha`` where `u` has rated `i`,
    else ``x = 0`` and ``c = 1``, the sum of ``c * (x - user_u . movie_i)^2`` plus ``regularization`` times
    the squared vectors, for one side at a time (Hu, Koren and Volinsky, "Collaborative Filtering for Implicit
    Feedback Datasets", ICDM 2008), as the package `implicit` does it.

    Args:
        history: What each user has rated.
        n_movies: Movies in the catalogue.
        factors: Width of the vectors.
        regularization: Penalty on the squared vectors.
        alpha: Weight of a rating.
        iterations: Passes over users and movies.
        seed: Of the vectors at the start.
    """
    from implicit.cpu.als import AlternatingLeastSquares

    # The package makes threads of its own, each of which would otherwise wait for those of the BLAS.
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=factors,
            regularization=regularization,
            alpha=alpha,
            iterations=iterations,
            random_state=seed,
        )
        model.fit(sparse.csr_matrix(rating_matrix(history, n_movies)), show_progress=False)
    return dot_product(np.asarray(model.user_factors), np.asarray(model.item_factors))
