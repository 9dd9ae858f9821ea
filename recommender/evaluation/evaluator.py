"""Full-catalogue evaluation: every movie competes, what a user has rated in training is masked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from recommender.evaluation import lists
from recommender.evaluation.best_of_catalogue import best_of_catalogue
from recommender.evaluation.bootstrap import bootstrap_means, percentile_interval
from recommender.evaluation.metrics import graded_ndcg, overlap, per_user_metrics
from recommender.features.transformed_examples import History

Scorer = Callable[[int, int], npt.NDArray[np.float32]]
"""From users `start` to `stop` to their scores of the whole catalogue, float32 [stop - start, movies]."""

BLOCK_ELEMENTS = 2**23
"""Scores held at a time: 32 MiB as float32, up to which the allocator hands out the same memory again."""


@dataclass(frozen=True)
class RankingQuality:
    """How well a model ranks.

    Attributes:
        means: Such as `{"ndcg@10": 0.43, "coverage@10": 0.3}`.
        intervals: The 95 % bootstrap interval of each mean over users.
        n_users: Users with a relevant movie, over whom the means are taken.
        n_users_left_out: Users without one.
        users: int64 [n_users], positions of the users with a relevant movie.
        recommended: int32 [n_users, places], their movies, best first; -1 for an empty place.
        hits: bool [n_users, places], whether these are relevant.
        per_user: Each metric that is a mean over users, float64 [n_users].
        samples: The means over users drawn anew, float64 [samples, metrics], columns as in `per_user`; no
            rows without intervals. Two models that are judged with one seed have the same users drawn.
    """

    means: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    n_users: int
    n_users_left_out: int
    users: npt.NDArray[np.int64] = field(repr=False)
    recommended: npt.NDArray[np.int32] = field(repr=False)
    hits: npt.NDArray[np.bool_] = field(repr=False)
    per_user: dict[str, npt.NDArray[np.float64]] = field(repr=False)
    samples: npt.NDArray[np.float64] = field(repr=False)


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

    Raises:
        ValueError: a score is not a number.
    """
    scores = np.require(scorer(start, stop), np.float32, ["C", "W"])
    rows = seen.rows(start, stop)
    masked = rows.user_of_each(), rows.movie_index
    # Masked in place and put back: the array may be the scorer's own, and a copy costs more than all of this.
    kept = scores[masked]
    scores[masked] = -np.inf
    width = min(k, n_movies)
    best, best_scores = best_of_catalogue(scores, width)
    scores[masked] = kept
    if np.isnan(best_scores).any():
        user = start + int(np.isnan(best_scores).any(axis=1).argmax())
        raise ValueError(f"scores of the user at position {user} are not numbers: the model is of no use")
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
    genres: npt.NDArray[np.float32] | None = None,
) -> RankingQuality:
    """Judge a scorer on the whole catalogue.

    Args:
        scorer: Scores the catalogue.
        seen: What each user has rated in training: masked, and what novelty and popularity are counted in.
        relevant: What each user has rated in the part that is predicted.
        n_movies: Movies in the catalogue, rated or not: the denominator of coverage.
        ks: Cut-offs.
        seed: Of the bootstrap.
        intervals: Whether to compute bootstrap intervals.
        genres: float32 [movies, genres], 1 where a movie has the genre; `diversity` and `miscalibration` are
            measured where given.

    Returns:
        Means over the users that have a relevant movie; coverage, overlap and popularity lift over the lists
        of these.

    Raises:
        ValueError: no user has a relevant movie, or a score is not a number.
    """
    n_users, widest = relevant.n_users, max(ks)
    judged = relevant.lengths > 0
    if not judged.any():
        raise ValueError("nothing to evaluate: no user has a relevant movie")
    everybody = np.full((n_users, widest), -1, np.int32)
    block = max(1, BLOCK_ELEMENTS // n_movies)
    for start in range(0, n_users, block):
        stop = min(start + block, n_users)
        if judged[start:stop].any():
            everybody[start:stop] = top_movies(scorer, seen, n_movies, widest, start, stop)
    users = np.flatnonzero(judged)
    recommended = everybody[users]
    gains, hits = _gains(recommended, users, relevant, n_movies)
    per_user, means = _measured(
        recommended, hits, gains, users=users, seen=seen, relevant=relevant, n_movies=n_movies, ks=ks
    )
    if genres is not None:
        per_user |= _genre_metrics(recommended, seen.of_users(users), genres, ks)
    means = {name: float(values.mean()) for name, values in per_user.items()} | means
    samples = np.empty((0, len(per_user)))
    bounds: dict[str, tuple[float, float]] = {}
    if intervals:
        samples = bootstrap_means(np.column_stack(list(per_user.values())), seed)
        low, high = percentile_interval(samples)
        bounds = {name: (float(low[i]), float(high[i])) for i, name in enumerate(per_user)}
    return RankingQuality(
        means, bounds, len(users), n_users - len(users), users, recommended, hits, per_user, samples
    )


def _gains(
    recommended: npt.NDArray[np.int32], users: npt.NDArray[np.int64], relevant: History, n_movies: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """The rating of each recommended movie, 0 where it is not relevant, and whether it is relevant."""
    # Looked up among the relevant pairs in order: a table of users x movies would not fit into memory.
    pairs = relevant.user_of_each() * n_movies + relevant.movie_index
    order = np.argsort(pairs)
    pairs = pairs[order]
    wanted = users[:, np.newaxis] * n_movies + recommended
    place = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
    # An empty place, -1, would be the last movie of the user before.
    hits = (pairs[place] == wanted) & (recommended >= 0)
    return np.where(hits, np.maximum(relevant.rating[order[place]], 0), 0).astype(np.float32), hits


def _ideal_gains(relevant: History, users: npt.NDArray[np.int64], places: int) -> npt.NDArray[np.float32]:
    """The ratings of each user's relevant movies, best first, then 0: float32 [users, places]."""
    user = relevant.user_of_each()
    order = np.lexsort((-relevant.rating, user))
    rank = np.arange(len(order)) - relevant.row_splits[user]
    ideal = np.zeros((relevant.n_users, places), np.float32)
    first = rank < places
    ideal[user[first], rank[first]] = np.maximum(relevant.rating[order[first]], 0)
    return ideal[users]


def _measured(
    recommended: npt.NDArray[np.int32],
    hits: npt.NDArray[np.bool_],
    gains: npt.NDArray[np.float32],
    *,
    users: npt.NDArray[np.int64],
    seen: History,
    relevant: History,
    n_movies: int,
    ks: Sequence[int],
) -> tuple[dict[str, npt.NDArray[np.float64]], dict[str, float]]:
    """The metrics of each user, and those that are of all users together."""
    n_relevant = relevant.lengths[users]
    ideal_gains = _ideal_gains(relevant, users, max(ks))
    popularity = np.bincount(seen.movie_index, minlength=n_movies)
    histories = seen.of_users(users)
    per_user: dict[str, npt.NDArray[np.float64]] = {}
    together: dict[str, float] = {}
    for k in ks:
        shown = recommended[:, :k]
        measured = per_user_metrics(hits, n_relevant, k)
        measured["ndcg_graded"] = graded_ndcg(gains, ideal_gains, k)
        measured["novelty"] = lists.novelty(shown, popularity, seen.n_users)
        per_user |= {f"{name}@{k}": values for name, values in measured.items()}
        together[f"coverage@{k}"] = len(np.unique(shown[shown >= 0])) / n_movies
        together[f"overlap@{k}"] = overlap(shown, n_movies)
        together[f"popularity_lift@{k}"] = lists.popularity_lift(shown, histories, popularity)
    return per_user, together


def _genre_metrics(
    recommended: npt.NDArray[np.int32],
    histories: History,
    genres: npt.NDArray[np.float32],
    ks: Sequence[int],
) -> dict[str, npt.NDArray[np.float64]]:
    shares = lists.genre_shares(genres)
    tastes = lists.taste(histories, shares)
    measured = {}
    for k in ks:
        shown = recommended[:, :k]
        measured[f"diversity@{k}"] = lists.diversity(shown, genres)
        measured[f"miscalibration@{k}"] = lists.miscalibration(shown, tastes, shares)
    return measured
