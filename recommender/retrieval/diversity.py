"""Choosing movies that are not all alike."""

import numpy as np
from numpy.typing import NDArray

_NOTHING = 1e-12
"""Shortest vector that has a direction."""


def most_diverse(
    relevance: NDArray[np.float32], vectors: NDArray[np.float32], limit: int, diversity: float
) -> NDArray[np.int64]:
    """Choose movies one after the other, each as relevant and as unlike those before as can be.

    This is maximal marginal relevance (Carbonell and Goldstein 1998, "The use of MMR, diversity-based
    reranking for reordering documents and producing summaries", SIGIR, equation in section 2): next comes the
    movie with the largest (1 - diversity) x relevance - diversity x the largest cosine to a chosen one.
    Relevance is brought to 0-1 first, as scores have no scale of their own.

    Args:
        relevance: float32 [candidates], larger for better.
        vectors: float32 [candidates, dimension], of any length.
        limit: how many, 1 or more; fewer come back where there are fewer.
        diversity: 0 for relevance alone to 1 for unlikeness alone, which still begins with the most relevant.

    Returns:
        int64 [chosen], rows of the candidates as they were chosen, the lower row first among equals.
    """
    count = min(limit, len(relevance))
    if count == 0:
        return np.empty(0, np.int64)
    lowest = relevance.min()
    worth = (1 - diversity) * (relevance - lowest) / max(float(relevance.max() - lowest), _NOTHING)
    directions = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _NOTHING)
    nearest = np.full(len(relevance), -np.inf, np.float32)
    chosen = np.empty(count, np.int64)
    chosen[0] = np.argmax(relevance)
    for place in range(1, count):
        last = chosen[place - 1]
        worth[last] = -np.inf
        np.maximum(nearest, directions @ directions[last], out=nearest)
        chosen[place] = np.argmax(worth - diversity * nearest)
    return chosen
