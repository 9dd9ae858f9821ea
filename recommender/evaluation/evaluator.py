"""Full-catalogue evaluation: every movie competes, what a user has rated in training is masked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recommender.evaluation.metrics import bootstrap_intervals, overlap, per_user_metrics
from recommender.features.transformed_examples import History
from recommender.retrieval.top_k import top_k

Scorer = Callable[[int, int], npt.NDArray[np.float32]]
"""From users `start` to `stop` to their scores of the whole catalogue, float32 [stop - start, movies]."""

BLOCK_ELEMENTS = 2**25
"""Scores held at a time: 128 MiB as float32."""


@dataclass(frozen=True)
class RankingQuality:
    """How well a model ranks.

    Attributes:
        means: Such as `{"ndcg@10": 0.43, "coverage@10": 0.3}`.
        intervals: The 95 % bootstrap interval of each mean over users.
        n_users: Users with a relevant movie, over whom the means are taken.
        n_users_left_out: Users without one.
    """

    means: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    n_users: int
    n_users_left_out: int


def dot_product(users: npt.NDArray[np.float32], movies: npt.NDArray[np.float32]) -> Scorer:
    """The scorer of two towers.

    Args:
        users: float32 [users, dimension].
        movies: float32 [movies, dimension].
    """
    return lambda start, stop: users[start:stop] @ movies.T


def top_movies(
    scorer: Scorer, seen: History, n_movies: int, k: int, start: int, stop: int
) -> npt.NDArray[np.int64]:
    """The best `k` unseen movies of users `start` to `stop`.

    Args:
        scorer: Scores the catalogue.
        seen: What each user has rated; never recommended.
        n_movies: Movies in the catalogue.
        k: Places.
        start: First user.
        stop: The user after the last.

    Returns:
        int64 [stop - start, k], movie positions, best first, ties by position; -1 where a user has no
        unseen movie left.
    """
    scores = np.array(scorer(start, stop), np.float32)
    rows = seen.rows(start, stop)
    scores[rows.user_of_each(), rows.movie_index] = -np.inf
    width = min(k, n_movies)
    best, best_scores = top_k(scores, width)
    best = np.where(np.isneginf(best_scores), -1, best)
    return np.pad(best, [(0, 0), (0, k - width)], constant_values=-1)


def evaluate_ranking(
    scorer: Scorer,
    *,
    seen: History,
    relevant: History,
    n_movies: int,
    ks: Sequence[int] = (5, 10, 20),
    seed: int = 0,
    intervals: bool = True,
) -> RankingQuality:
    """Judge a scorer on the whole catalogue.

    Args:
        scorer: Scores the catalogue.
        seen: What each user has rated in training: masked.
        relevant: What each user has rated in the part that is predicted.
        n_movies: Movies in the catalogue, rated or not: the denominator of coverage.
        ks: Cut-offs.
        seed: Of the bootstrap.
        intervals: Whether to compute bootstrap intervals.

    Returns:
        Means over the users that have a relevant movie; coverage and overlap over the lists of these.

    Raises:
        ValueError: no user has a relevant movie.
    """
    n_users, widest = relevant.n_users, max(ks)
    judged = relevant.lengths > 0
    if not judged.any():
        raise ValueError("nothing to evaluate: no user has a relevant movie")
    recommended = np.empty((n_users, widest), np.int64)
    hits = np.empty((n_users, widest), np.bool_)
    block = max(1, BLOCK_ELEMENTS // n_movies)
    for start in range(0, n_users, block):
        stop = min(start + block, n_users)
        best = top_movies(scorer, seen, n_movies, widest, start, stop)
        recommended[start:stop] = best
        rows = relevant.rows(start, stop)
        is_relevant = np.zeros((stop - start, n_movies + 1), np.bool_)
        is_relevant[rows.user_of_each(), rows.movie_index] = True
        # An empty place, -1, looks at the extra last column, which stays False.
        hits[start:stop] = np.take_along_axis(is_relevant, best, axis=1)
    hits, recommended, n_relevant = hits[judged], recommended[judged], relevant.lengths[judged]

    means: dict[str, float] = {}
    per_user: dict[str, npt.NDArray[np.float64]] = {}
    for k in ks:
        for name, values in per_user_metrics(hits, n_relevant, k).items():
            per_user[f"{name}@{k}"] = values
            means[f"{name}@{k}"] = float(values.mean())
        shown = recommended[:, :k]
        means[f"coverage@{k}"] = len(np.unique(shown[shown >= 0])) / n_movies
        means[f"overlap@{k}"] = overlap(shown, n_movies)
    bounds: dict[str, tuple[float, float]] = {}
    if intervals:
        low, high = bootstrap_intervals(np.column_stack(list(per_user.values())), seed)
        bounds = {name: (float(low[i]), float(high[i])) for i, name in enumerate(per_user)}
    return RankingQuality(means, bounds, int(judged.sum()), int(n_users - judged.sum()))
