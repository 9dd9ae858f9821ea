"""Ranking metrics: the plan's functions for one user, and vectorised ones for many.

Definitions, with `hit_j` = 1 where the movie at rank `j` is relevant and `R` the number of relevant movies:

- Recall@K = hits / R; Precision@K = hits / K; HitRate@K = 1 where there is a hit
- NDCG@K = sum of hit_j / log2(j + 1), over the same sum for the ideal list, cut at min(K, R)
  (Järvelin and Kekäläinen 2002, binary gains)
- MAP@K = sum over hits of Precision@j, divided by min(K, R)
- MRR@K = 1 / rank of the first hit, 0 without one
- coverage@K = distinct movies recommended to anybody / movies in the catalogue
- overlap@K = share of their lists that two users have in common, mean over all pairs of users
"""

from collections.abc import Collection, Iterable, Sequence

import numpy as np
import numpy.typing as npt

METRICS = ("recall", "precision", "ndcg", "hit_rate", "map", "mrr", "coverage", "overlap")
"""Every metric, each measured at every K."""

Booleans = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


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
        `recall, precision, ndcg, hit_rate, map, mrr`, float64 [users] each.
    """
    hits = hits[:, :k]
    places = np.arange(1, k + 1)
    discount = 1 / np.log2(places + 1)
    ideal = np.cumsum(discount)[np.minimum(n_relevant, k) - 1]
    n_hits = hits.sum(axis=1)
    precision_at_places = np.cumsum(hits, axis=1) / places
    first = np.where(n_hits > 0, hits.argmax(axis=1) + 1, np.inf)
    return {
        "recall": n_hits / n_relevant,
        "precision": n_hits / k,
        "ndcg": hits @ discount / ideal,
        "hit_rate": (n_hits > 0).astype(np.float64),
        "map": (precision_at_places * hits).sum(axis=1) / np.minimum(n_relevant, k),
        "mrr": 1 / first,
    }


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


def bootstrap_intervals(values: Floats, seed: int, n_samples: int = 1000) -> Floats:
    """The 95 % percentile intervals of means over users.

    Args:
        values: float64 [users, metrics].
        seed: Of the resampling.
        n_samples: Times the users are drawn anew, with replacement, the same ones for every metric.

    Returns:
        float64 [2, metrics]: the 2.5th and the 97.5th percentiles of the means.
    """
    generator = np.random.default_rng(seed)
    n_users = len(values)
    means = np.empty((n_samples, values.shape[1]))
    for sample in range(n_samples):
        # How often each user was drawn is all that a mean needs: no copy of the values is made.
        times = np.bincount(generator.integers(0, n_users, n_users), minlength=n_users)
        means[sample] = times @ values / n_users
    return np.percentile(means, [2.5, 97.5], axis=0)
