"""Which of the test ratings a model is asked for."""

import numpy as np

from recommender.data.splits import Strategy
from recommender.features.transformed_examples import Interactions


def relevant_ratings(test: Interactions, fitted_on: Interactions, strategy: Strategy) -> Interactions:
    """The test ratings that count: those of users that training knows.

    Under `time_global` (protocol P-time-global) the movie must have been rated before, too: most of those
    that were not did not exist yet.

    Args:
        test: The test part.
        fitted_on: The ratings that models are fitted on.
        strategy: How the ratings were divided.
    """
    known = test.known()
    if strategy != "time_global":
        return known
    rated = np.isin(known.movie_index, fitted_on.movie_index)
    return Interactions(
        known.user_index[rated], known.movie_index[rated], known.rating[rated], known.timestamp[rated]
    )
