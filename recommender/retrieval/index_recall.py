"""How much of what an exact search finds an index finds."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.release import positions_of
from recommender.retrieval.movie_index import MovieIndex
from recommender.retrieval.top_k import top_k

RECALL_AT: Final = 100
"""Movies that are searched for."""
_BLOCK_SCORES: Final = 1 << 22
_RAISES: Final = 5
"""How often a search that finds too little looks at half as many candidates more: up to 7.7 times as many."""
_ROUNDING: Final = 1e-5
"""Engines add in different orders, so a score differs in its last digits, as a share of the largest one."""


def index_recall(
    index: MovieIndex,
    movie_ids: NDArray[np.int64],
    movie_vectors: NDArray[np.float32],
    queries: NDArray[np.float32],
) -> float:
    """Recall@100: the mean share of the 100 best movies that a search of the index brings back.

    A movie is among the 100 best if its score is that of the 100th or higher, so it does not matter which of
    equals come back. Movies are searched as the index is set to, not with `exact`.

    Args:
        index: of these movies.
        movie_ids: int64 [movies], ascending.
        movie_vectors: float32 [movies, dimension].
        queries: float32 [queries, dimension], such as users' vectors; 1 or more.

    Returns:
        0 to 1.

    Raises:
        IndexUnavailableError: the index did not answer.
    """
    k = min(RECALL_AT, len(movie_ids))
    shares: list[float] = []
    block = max(1, _BLOCK_SCORES // len(movie_ids))
    for start in range(0, len(queries), block):
        some = queries[start : start + block]
        scores = some @ movie_vectors.T
        least = top_k(scores, k)[1][:, -1] - _ROUNDING * np.abs(scores).max(axis=1)
        for row, found in enumerate(index.search_batch(some, k)):
            rows = positions_of(found.movie_ids, movie_ids)
            shares.append(np.count_nonzero(scores[row, rows[rows >= 0]] >= least[row]) / k)
    return float(np.mean(shares))


def enough_candidates(
    recall_with: Callable[[int | None], float], candidates: int | None, minimum_recall: float
) -> tuple[int | None, float]:
    """How many candidates a search must look at to find what it must, which depends on the vectors.

    Args:
        recall_with: recall of searches that look at so many candidates.
        candidates: tried first; None for an exact search, which has nothing to raise.
        minimum_recall: what is to be reached.

    Returns:
        Candidates, and recall with them, which is less than the minimum if no number tried was enough.
    """
    recall = recall_with(candidates)
    for _ in range(_RAISES):
        if candidates is None or recall >= minimum_recall:
            break
        candidates += candidates // 2 + 1
        recall = recall_with(candidates)
    return candidates, recall


def spread_over(vectors: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """At most `count` of the rows, evenly spread over all."""
    rows = np.unique(np.linspace(0, len(vectors) - 1, min(count, len(vectors))).astype(np.int64))
    return vectors[rows]
