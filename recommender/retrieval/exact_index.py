"""Movies searched exactly, by one matrix product over the vectors of a release."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recommender.release import positions_of
from recommender.retrieval.movie_index import ScoredMovie


class ExactMovieIndex:
    """A `MovieIndex` on NumPy: what others are measured against, and what answers when they do not.

    Args:
        movie_ids: int64 [movies], ascending.
        vectors: float32 [movies, dimension]; kept, not copied.
    """

    def __init__(self, movie_ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        self._movie_ids = movie_ids
        self._vectors = vectors

    def search(
        self, vector: NDArray[np.float32], limit: int, *, exclude: Sequence[int] = ()
    ) -> list[ScoredMovie]:
        """The best movies, best first, lower id first among equals."""
        scores = self._vectors @ vector
        seen = positions_of(np.asarray(exclude, dtype=np.int64), self._movie_ids)
        scores[seen[seen >= 0]] = -np.inf
        best = np.argsort(-scores, kind="stable")[:limit]
        best = best[np.isfinite(scores[best])]
        return [ScoredMovie(int(self._movie_ids[row]), float(scores[row])) for row in best]

    def count(self) -> int:
        """How many movies the index holds."""
        return len(self._movie_ids)

    def close(self) -> None:
        """Nothing to release: the vectors belong to the caller."""
