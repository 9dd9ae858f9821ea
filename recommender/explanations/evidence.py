"""Which movies of a user's own history speak for a recommended one."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.release import History, Release

LIKED_SHARE: Final = 0.7
"""Of the highest rating in the release: 3.5 of 5. What a harsh user rated lower was not liked either."""
WEAKEST_SHARE: Final = 0.5
"""Of the strongest evidence's similarity: what is less similar than this is not named beside it."""
_ROUNDING: Final = 1e-4


def liked_movies(release: Release, history: History) -> NDArray[np.int64]:
    """Movies that somebody rated at their own average or above, and well at that.

    Returns:
        int64 [n], best first, latest first among equals; movies the release does not hold are left out.
    """
    if len(history.ratings) == 0:
        return np.empty(0, dtype=np.int64)
    threshold = max(float(history.ratings.mean()), LIKED_SHARE * release.highest_rating) - _ROUNDING
    order = np.lexsort((history.movie_ids, -history.timestamps, -history.ratings))
    liked = history.movie_ids[order][history.ratings[order] >= threshold]
    return liked[release.movie_positions(liked) >= 0]


def find_evidence(
    release: Release, history: History, movie_ids: NDArray[np.int64], *, at_most: int = 2
) -> list[list[int]]:
    """The liked movies most similar to each recommended one, by the dot product of the movies' vectors.

    Args:
        release: whose movies.
        history: what whoever gets the recommendations has rated; for nothing rated nothing speaks.
        movie_ids: int64 [n], the recommended movies, all in the release.
        at_most: how many for each.

    Returns:
        For each recommended movie the ids of up to `at_most` liked ones, most similar first; none with a
        similarity of 0 or below, because those speak against it.
    """
    liked = liked_movies(release, history)
    if len(liked) == 0 or len(movie_ids) == 0:
        return [[] for _ in movie_ids]
    recommended_vectors = release.movie_vectors[release.movie_positions(movie_ids)]
    similarities = recommended_vectors @ release.movie_vectors[release.movie_positions(liked)].T
    best = np.argsort(-similarities, axis=1, kind="stable")[:, :at_most]
    best_similarities = np.take_along_axis(similarities, best, axis=1)
    speaks = (best_similarities > 0) & (best_similarities >= WEAKEST_SHARE * best_similarities[:, :1])
    return [liked[row[keep]].tolist() for row, keep in zip(best, speaks, strict=True)]
