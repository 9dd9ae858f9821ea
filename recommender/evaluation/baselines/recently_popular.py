"""The same movies for everybody: those with the most ratings of late."""

from typing import Annotated, Final

import numpy as np
from pydantic import Field

from recommender.configuration import Configuration
from recommender.evaluation.evaluator import Scorer
from recommender.features.transformed_examples import Interactions

_DAY_SECONDS: Final = 86_400


class RecentlyPopularConfig(Configuration):
    """What counts as of late."""

    days: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(30,), min_length=1)
    """Days before the newest rating that count."""


def recently_popular(interactions: Interactions, n_movies: int, days: int) -> Scorer:
    """Score every movie by its number of ratings in the last days, for everybody alike.

    Movies that nobody rated in these days come after the others, by all their ratings. A strong baseline
    wherever a model is asked about the future (Ji et al., "A Re-visit of the Popularity Baseline in
    Recommender Systems", SIGIR 2020).

    Args:
        interactions: The ratings to count, with their times.
        n_movies: Movies in the catalogue.
        days: How long before the newest of the ratings the window begins.
    """
    overall = np.bincount(interactions.movie_index, minlength=n_movies)
    newest = interactions.timestamp.max(initial=0)
    late = interactions.timestamp > newest - days * _DAY_SECONDS
    recent = np.bincount(interactions.movie_index[late], minlength=n_movies)
    # Places in the order of both counts, because a sum of the two would lose the smaller one in float32.
    _, order = np.unique(np.column_stack([recent, overall]), axis=0, return_inverse=True)
    scores = order.reshape(-1).astype(np.float32)
    return lambda start, stop: np.broadcast_to(scores, (stop - start, n_movies))
