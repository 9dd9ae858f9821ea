"""The best movies for one user: from their vector, or the popular ones for somebody new."""

import logging
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from recommender.errors import IndexUnavailableError
from recommender.release import Release
from recommender.retrieval.exact_index import ExactMovieIndex
from recommender.retrieval.movie_index import MovieIndex, ScoredMovie

_LOG = logging.getLogger(__name__)

Strategy = Literal["two_tower", "popular"]


@dataclass(frozen=True, slots=True)
class Recommended:
    """Movies for one user, best first, and how they were found.

    With `two_tower` a score is the dot product of the user's and the movie's vector; with `popular` it is the
    number of people who rated the movie.
    """

    strategy: Strategy
    movies: list[ScoredMovie]
    exact_instead: bool = False
    """Whether the index did not answer and every vector was searched instead."""


class Recommender:
    """Recommends from one release, and answers also when its index does not.

    Args:
        release: users, movies and what was rated.
        index: the same movies, for searching.
    """

    def __init__(self, release: Release, index: MovieIndex) -> None:
        self.release = release
        self._index = index
        self._exact = ExactMovieIndex(release.movie_ids, release.movie_vectors)

    def recommend(self, user_id: int, limit: int) -> Recommended:
        """The best movies that a user has not rated; the most popular ones for a user without a vector."""
        seen = self.release.history_of(user_id).movie_ids
        position = self.release.user_position(user_id)
        if position is None:
            return Recommended("popular", self._popular(limit, seen))
        vector, exclude = self.release.user_vectors[position], seen.tolist()
        try:
            return Recommended("two_tower", self._index.search(vector, limit, exclude=exclude))
        except IndexUnavailableError as error:
            _LOG.warning("%s Searching the release's vectors instead.", error)
            return Recommended(
                "two_tower", self._exact.search(vector, limit, exclude=exclude), exact_instead=True
            )

    def _popular(self, limit: int, seen: NDArray[np.int64]) -> list[ScoredMovie]:
        popular = self.release.popular_movie_ids
        movie_ids = popular[~np.isin(popular, seen)][:limit]
        counts = self.release.movie_rating_counts[self.release.movie_positions(movie_ids)]
        return [
            ScoredMovie(movie_id, float(count))
            for movie_id, count in zip(movie_ids.tolist(), counts.tolist(), strict=True)
        ]
