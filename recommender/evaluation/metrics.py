"""Ranking metrics: the plan's functions for one user, and vectorised ones for many.

Definitions, with `hit_j` = 1 where the movie at rank `j` is relevant and `R` the number of relevant movies:

- Recall@K = hits / R; Precision@K = hits / K; HitRate@K = 1 where there is a hit
- NDCG@K = sum of hit_j / log2(j + 1), over the same sum for the ideal list, cut at min(K, R)
  (Järvelin and Kekäläinen 2002, binary gains)
- graded NDCG@K = the same with the rating of the movie at rank `j`, if it is relevant, in place of hit_j; the
  ideal list has the relevant movies, best rated first (Järvelin and Kekäläinen 2002, linear gains)
- MAP@K = sum over hits of Precision@j, divided by min(K, R); MAP of all@K = the same sum divided by R
- MRR@K = 1 / rank of the first hit, 0 without one
- coverage@K = distinct movies recommended to anybody / movies in the catalogue
- overlap@K = share of their lists that two users have in common, mean over all pairs of users
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

METRICS = (
    "recall", "precision", "ndcg", "ndcg_graded", "hit_rate", "map", "map_of_all", "mrr",
    "coverage", "overlap", "novelty", "popularity_lift",
)  # fmt: skip
"""Every metric that needs nothing but ratings, each measured at every K; `recommender.evaluation.lists` says
what the last two are."""
GENRE_METRICS = ("diversity", "miscalibration")
"""Metrics that need genres, too; `recommender.evaluation.lists` says what they are."""

Booleans = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64] | npt.NDArray[np.int32]


def _hits(recommended: Sequence[int], relevant: Collection[int], k: int) -> list[bool]:
    if k < 1:
        raise ValueError(f"k is {k}; it counts recommendations and must be at least 1")
    return [movie in relevant for movie in recommended[:k]]


def recall_at_k(recommended: Sequence[int], relevant: Collection[int], k: int) -> float:
    """Share of the relevant movies that are among the first `k`; 0 where nothing is relevant."""
    return sum(_hits(recommended, relevant, k)) / len(relevant) if relevant else 0.0


def precision_at_k(recommended: Sequence[int], relevant: Collection[int], k: int) -> float:
    """Share of the first `k` places that hold a relevant movie."""
    return sum(_hits(recommended, relevant, k)) / k


def ndcg_at_k(recommended: Sequence[int], relevant: Collection[int], k: int) -> float:
    """Discounted gain of the first `k`, as a share of what an ideal list would gain."""
    gain = sum(hit / np.log2(place + 2) for place, hit in enumerate(_hits(recommended, relevant, k)))
    ideal = sum(1 / np.log2(place + 2) for place in range(min(k, len(relevant))))
    return float(gain / ideal) if ideal else 0.0


def hit_rate_at_k(recommended: Sequence[int], relevant: Collection[int], k: int) -> float:
    """1 where at least one of the first `k` is relevant, else 0."""
    return float(any(_hits(recommended, relevant, k)))


def map_at_k(recommended: Sequence[int], relevant: Collection[int], k: int) -> float:
    """Average precision of the first `k`, divided by min(k, number of relevant movies)."""
    hits = _hits(recommended, relevant, k)
    precisions = [sum(hits[: place + 1]) / (place + 1) for place, hit in enumerate(hits) if hit]
    return sum(precisions) / min(k, len(relevant)) if relevant else 0.0


def map_of_all_at_k(recommended: Sequence[int], relevant: Collection[int], k: int) -> float:
    """Average precision of the first `k`, divided by the number of relevant movies, found or not."""
    return map_at_k(recommended, relevant, k) * min(k, len(relevant)) / len(relevant) if relevant else 0.0


def mrr_at_k(recommended: Sequence[int], relevant: Collection[int], k: int) -> float:
    """1 / rank of the first relevant movie; 0 where none is among the first `k`."""
    return next((1 / (place + 1) for place, hit in enumerate(_hits(recommended, relevant, k)) if hit), 0.0)


def graded_ndcg_at_k(recommended: Sequence[int], ratings: Mapping[int, float], k: int) -> float:
    """NDCG with ratings as gains: a list is ideal with the relevant movies in it, best rated first.

    Args:
        recommended: Best first.
        ratings: What the user gave to each relevant movie; a negative rating gains nothing.
        k: Places that count.
    """
    if k < 1:
        raise ValueError(f"k is {k}; it counts recommendations and must be at least 1")
    gains = [max(ratings.get(movie, 0.0), 0.0) for movie in recommended[:k]]
    ideal_gains = sorted((max(rating, 0.0) for rating in ratings.values()), reverse=True)[:k]
    gain, ideal = (
        sum(value / np.log2(place + 2) for place, value in enumerate(values))
        for values in (gains, ideal_gains)
    )
    return float(gain / ideal) if ideal else 0.0


def coverage(recommended: Iterable[Sequence[int]], n_movies: int) -> float:
    """Share of a catalogue of `n_movies` that is recommended to anybody."""
    return len({movie for movies in recommended for movie in movies}) / n_movies


def per_user_metrics(hits: Booleans, n_relevant: Integers, k: int) -> dict[str, Floats]:
    """The metrics of many users at once.

    Args:
        hits: bool [users, places], whether the movie at each place is relevant; at least `k` places.
        n_relevant: int64 [users], relevant movies of each, at least 1.
        k: Places that count.

    Returns:
        `recall, precision, ndcg, hit_rate, map, map_of_all, mrr`, float64 [users] each.
    """
    hits = hits[:, :k]
    places = np.arange(1, k + 1)
    discount = 1 / np.log2(places + 1)
    ideal = np.cumsum(discount)[np.minimum(n_relevant, k) - 1]
    n_hits = hits.sum(axis=1)
    precisions = (np.cumsum(hits, axis=1) / places * hits).sum(axis=1)
    first = np.where(n_hits > 0, hits.argmax(axis=1) + 1, np.inf)
    return {
        "recall": n_hits / n_relevant,
        "precision": n_hits / k,
        "ndcg": hits @ discount / ideal,
        "hit_rate": (n_hits > 0).astype(np.float64),
        "map": precisions / np.minimum(n_relevant, k),
        "map_of_all": precisions / n_relevant,
        "mrr": 1 / first,
    }


def graded_ndcg(gains: Numbers, ideal_gains: Numbers, k: int) -> Floats:
    """NDCG of many users at once, with ratings as gains.

    Args:
        gains: float [users, places], rating of the movie at each place, 0 where it is not relevant or its
            rating is negative.
        ideal_gains: float [users, places], the same of the relevant movies, best rated first, then 0.
        k: Places that count.

    Returns:
        float64 [users]; 0 where nothing can be gained.
    """
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = ideal_gains[:, :k] @ discount
    gained: Floats = gains[:, :k] @ discount
    return np.divide(gained, ideal, out=np.zeros(len(ideal)), where=ideal > 0)


def overlap(recommended: Integers, n_movies: int) -> float:
    """Share of their lists that two users have in common, mean over all pairs of users.

    A movie recommended to `c` users is shared by `c (c - 1) / 2` pairs, so no pair has to be looked at.

    Args:
        recommended: int [users, places], movie positions; -1 for an empty place.
        n_movies: Movies in the catalogue.
    """
    n_users, places = recommended.shape
    if n_users < 2:
        return 0.0
    counts = np.bincount(recommended[recommended >= 0], minlength=n_movies)
    return float((counts * (counts - 1)).sum() / (n_users * (n_users - 1) * places))
