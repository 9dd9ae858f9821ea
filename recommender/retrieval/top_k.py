"""The best of many scores."""

import numpy as np
from numpy.typing import NDArray


def top_k(scores: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The `k` largest of each row, largest first, lower column first among equals.

    Args:
        scores: float32 [rows, columns]; -inf for what must not be chosen.
        k: 1 to the number of columns.

    Returns:
        Columns int64 [rows, k], scores float32 [rows, k].
    """
    columns = scores.shape[1]
    best = np.argpartition(scores, columns - k, axis=1)[:, columns - k :]
    best_scores = np.take_along_axis(scores, best, axis=1)
    order = np.lexsort((best, -best_scores), axis=1)
    best = np.take_along_axis(best, order, axis=1)
    best_scores = np.take_along_axis(best_scores, order, axis=1)

    # A partition takes any of those equal to the last one taken: where some were left out, sort the row.
    last = best_scores[:, -1:]
    taken = np.count_nonzero(best_scores == last, axis=1)
    unclear = (np.count_nonzero(scores == last, axis=1) > taken) & np.isfinite(last[:, 0])
    if unclear.any():
        best[unclear] = np.argsort(-scores[unclear], axis=1, kind="stable")[:, :k]
        best_scores[unclear] = np.take_along_axis(scores[unclear], best[unclear], axis=1)
    return best, best_scores
