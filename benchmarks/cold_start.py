"""How good the towers are for users and movies that training has not seen."""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from recommender.data.columns import Columns
from recommender.data.engine import MOVIES_FILE, RATINGS_FILE
from recommender.data.splits import PART, SplitConfig
from recommender.evaluation.baselines import ease_weights, fit_baseline, linear_scorer, most_popular
from recommender.evaluation.evaluator import Scorer, dot_product, evaluate_ranking
from recommender.features.transform import TransformConfig, transform
from recommender.features.transformed_examples import History, TransformedExamples
from recommender.training.configuration import TrainerConfig

logger = logging.getLogger("recommender.benchmarks.cold_start")

HELD_OUT: Final = 0.1
"""Share of the users, and of the movies, that training does not see."""
SHOWN: Final = 5
"""Ratings of a new user that the models get to see."""
RECALL: Final = 50


def cold_start(
    examples: Path, trainer: TrainerConfig, seeds: Sequence[int], scratch: Path
) -> dict[str, dict[str, Any]]:
    """Measure new users beside EASE, and new movies beside chance; means over the seeds.

    - `users`: a tenth of the users are left out of training. Of each, 5 ratings drawn at random are shown to
      the saved user tower, and to EASE, which is fitted on the same other users; all others are relevant.
    - `movies`: all ratings of a tenth of the movies are left out of training, and are relevant. The whole
      catalogue competes, and then the new movies alone.

    Args:
        examples: What ExampleGen wrote.
        trainer: Hyperparameters.
        seeds: Of the draws and of training.
        scratch: Folder for what is in between.
    """
    users, movies = [], []
    for seed in seeds:
        users.append(_new_users(examples, trainer, seed, scratch / f"new-users-{seed}"))
        movies.append(_new_movies(examples, trainer, seed, scratch / f"new-movies-{seed}"))
        logger.info("seed %d: users %s, movies %s", seed, users[-1], movies[-1])
    of_users, of_movies = _means(users), _means(movies)
    return {
        "users": {
            "ndcg@10": of_users,
            "ratio_to_ease": of_users["retrieval"] / of_users["ease"],
            "ndcg@10_of_each_seed": users,
        },
        "movies": {
            f"recall@{RECALL}": of_movies,
            "over_random": of_movies["retrieval"] / of_movies["random"],
            "over_random_among_new": of_movies["retrieval_among_new"] / of_movies["random_among_new"],
            f"recall@{RECALL}_of_each_seed": movies,
        },
    }


def _means(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}


def _new_users(examples: Path, trainer: TrainerConfig, seed: int, folder: Path) -> dict[str, float]:
    from recommender.models.saved_models import load_signature, save_user_tower, user_vectors
    from recommender.training.fit import fit

    random = np.random.default_rng(seed)
    ratings = pq.read_table(examples / RATINGS_FILE)
    user_id = ratings[Columns.USER_ID].to_numpy()
    is_new = np.isin(user_id, _drawn(user_id, random))
    known = _written(examples, ratings.filter(pa.array(~is_new)), folder / "known")
    mine = ratings.filter(pa.array(is_new))
    shown = np.where(_places(mine[Columns.USER_ID].to_numpy(), random) < SHOWN, "train", "test")
    new = _written(examples, _with_parts(mine, shown), folder / "new")

    training = _transformed(known, SplitConfig(test_size=0.0), seed)
    asked = _transformed(new, SplitConfig(strategy="provided", validation_size=0.0), seed)
    fitted = fit(training, trainer, seed)
    save_user_tower(fitted.two_tower.user_tower, training, folder / "user_tower")
    seen, relevant = (
        History.of(asked.interactions(part).known(), asked.n_users) for part in ("train", "test")
    )
    vectors = user_vectors(load_signature(folder / "user_tower"), asked, seen)

    train, validation = (training.interactions(part).known() for part in ("train", "validation"))
    chosen = fit_baseline("ease", train, validation, train, training, seed).hyperparameters
    history = History.of(train + validation, training.n_users)
    weights = ease_weights(history, training.n_movies, **chosen)
    return _measured(
        {
            "retrieval": dot_product(vectors, fitted.two_tower.movie_vectors()),
            "ease": linear_scorer(seen, weights),
            "most_popular": most_popular(history, training.n_movies),
        },
        "ndcg@10",
        seen,
        relevant,
        training.n_movies,
    )


def _new_movies(examples: Path, trainer: TrainerConfig, seed: int, folder: Path) -> dict[str, float]:
    from recommender.training.fit import fit

    random = np.random.default_rng(seed)
    ratings = pq.read_table(examples / RATINGS_FILE)
    movie_id = ratings[Columns.MOVIE_ID].to_numpy()
    new = _drawn(movie_id, random)
    parts = np.where(np.isin(movie_id, new), "test", "train")
    divided = _written(examples, _with_parts(ratings, parts), folder / "divided")
    data = _transformed(divided, SplitConfig(strategy="provided"), seed)
    fitted = fit(data, trainer, seed)
    seen, relevant = (
        History.of(part, data.n_users)
        for part in (
            data.interactions("train") + data.interactions("validation").known(),
            data.interactions("test").known(),
        )
    )
    towers = dot_product(fitted.two_tower.user_vectors(seen), fitted.two_tower.movie_vectors())
    chance = random.random((data.n_users, data.n_movies), np.float32)
    is_new = np.isin(data.movie_ids, new)

    def among_new(scorer: Scorer) -> Scorer:
        return lambda start, stop: np.where(is_new, scorer(start, stop), np.float32(-np.inf))

    def by_chance(start: int, stop: int) -> npt.NDArray[np.float32]:
        return chance[start:stop]

    return _measured(
        {
            "retrieval": towers,
            "random": by_chance,
            "retrieval_among_new": among_new(towers),
            "random_among_new": among_new(by_chance),
        },
        f"recall@{RECALL}",
        seen,
        relevant,
        data.n_movies,
    )


def _measured(
    scorers: dict[str, Scorer], metric: str, seen: History, relevant: History, n_movies: int
) -> dict[str, float]:
    k = int(metric.partition("@")[2])
    return {
        name: evaluate_ranking(
            scorer, seen=seen, relevant=relevant, n_movies=n_movies, ks=(k,), intervals=False
        ).means[metric]
        for name, scorer in scorers.items()
    }


def _drawn(ids: npt.NDArray[np.int64], random: np.random.Generator) -> npt.NDArray[np.int64]:
    all_ids = np.unique(ids)
    return random.choice(all_ids, round(len(all_ids) * HELD_OUT), replace=False)


def _places(user_id: npt.NDArray[np.int64], random: np.random.Generator) -> npt.NDArray[np.int64]:
    """For each rating its place among those of its user, in an order drawn at random."""
    order = np.lexsort((random.random(len(user_id)), user_id))
    _, first, counts = np.unique(user_id[order], return_index=True, return_counts=True)
    places = np.empty(len(user_id), np.int64)
    places[order] = np.arange(len(user_id)) - np.repeat(first, counts)
    return places


def _with_parts(ratings: pa.Table, parts: npt.NDArray[np.str_]) -> pa.Table:
    return ratings.append_column(PART, pa.array(parts, pa.string()))


def _written(examples: Path, ratings: pa.Table, folder: Path) -> Path:
    folder.mkdir(parents=True)
    pq.write_table(ratings, folder / RATINGS_FILE)
    shutil.copy(examples / MOVIES_FILE, folder)
    return folder


def _transformed(examples: Path, split: SplitConfig, seed: int) -> TransformedExamples:
    folder = examples / "transformed"
    transform(examples, TransformConfig(split=split), seed, folder)
    return TransformedExamples(folder)
