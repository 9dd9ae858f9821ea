"""The best movies of many users, whose scores are as wide as the catalogue."""

import numpy as np
import numpy.typing as npt

from recommender.retrieval.top_k import top_k

GROUP = 128
"""Movies that stand for one another in the first round."""


def best_of_catalogue(
    scores: npt.NDArray[np.float32], k: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """What `top_k` answers, in a fraction of its time where rows are long.

    The first round finds the best of each group of neighbouring movies, in one pass over the scores; the
    second looks only into the `k` groups whose best is best. No other group can hold one of the `k` best:
    each of the `k` has one that goes before all of its own. Among equals, too, because groups are in the
    order of the columns and `top_k` takes the first of equals.

    Args:
        scores: float32 [rows, columns]; -inf for what must not be chosen.
        k: 1 to the number of columns.

    Returns:
        Columns int64 [rows, k], scores float32 [rows, k].
    """
    rows, columns = scores.shape
    if columns <= 2 * k * GROUP:
        return top_k(scores, k)
    best_of_groups = np.maximum.reduceat(scores, np.arange(0, columns, GROUP), axis=1)
    groups, _ = top_k(best_of_groups, k)
    groups.sort(axis=1)
    candidates = (groups[:, :, np.newaxis] * GROUP + np.arange(GROUP)).reshape(rows, -1)
    # The last group may end before the others do: what lies beyond the end must not be chosen.
    beyond = candidates >= columns
    candidates[beyond] = columns - 1
    found = np.take_along_axis(scores, candidates, axis=1)
    found[beyond] = -np.inf
    places, best_scores = top_k(found, k)
    return np.take_along_axis(candidates, places, axis=1), best_scores
