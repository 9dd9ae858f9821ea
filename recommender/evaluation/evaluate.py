"""Judging a saved model on the test part, and whether it may be released."""

import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recommender.data.splits import SplitManifest
from recommender.evaluation.baselines import most_popular
from recommender.evaluation.configuration import EvaluatorConfig
from recommender.evaluation.evaluator import dot_product, evaluate_ranking
from recommender.evaluation.result import Blessing, Evaluation
from recommender.features.transformed_examples import History, Interactions, TransformedExamples
from recommender.models.saved_models import load_signature, movie_vectors, predicted_ratings, user_vectors
from recommender.training.report import TrainingReport

Vectors = npt.NDArray[np.float32]

logger = logging.getLogger(__name__)


def evaluate(transformed: TransformedExamples, model: Path, config: EvaluatorConfig, seed: int) -> Evaluation:
    """Judge a saved model on the test part, beside the most-popular baseline.

    Training and validation ratings are masked and are what the user tower sees; the whole catalogue
    competes. Without a test part only the validation metrics of training are reported.

    Args:
        transformed: What Transform wrote.
        model: Holds `user_tower/`, `movie_tower/`, `ranker/` and `training.json`.
        config: What is measured.
        seed: Of the bootstrap.
    """
    manifest = SplitManifest.read(transformed.folder)
    validation = TrainingReport.read(model).validation
    test = transformed.interactions("test").known()
    if not len(test):
        logger.info("there is no test part: nothing to measure but what training saw of the validation part")
        return Evaluation(
            protocol=manifest.protocol,
            retrieval={},
            baselines={},
            ranking={},
            intervals={},
            validation=validation,
            n_users=0,
            n_users_left_out=transformed.n_users,
        )
    fitted_on = transformed.interactions("train") + transformed.interactions("validation").known()
    seen = History.of(fitted_on, transformed.n_users)
    relevant = History.of(test, transformed.n_users)
    users = user_vectors(load_signature(model / "user_tower"), transformed, seen)
    movies = movie_vectors(load_signature(model / "movie_tower"), transformed)
    scorers = {
        "retrieval": dot_product(users, movies),
        "most_popular": most_popular(seen, transformed.n_movies),
    }
    qualities = {
        name: evaluate_ranking(
            scorer, seen=seen, relevant=relevant, n_movies=transformed.n_movies, ks=config.ks, seed=seed
        )
        for name, scorer in scorers.items()
    }
    retrieval = qualities["retrieval"]
    return Evaluation(
        protocol=manifest.protocol,
        retrieval=retrieval.means,
        baselines={name: quality.means for name, quality in qualities.items() if name != "retrieval"},
        ranking={"rmse": _rmse(transformed, model, test, users, movies)},
        intervals=retrieval.intervals,
        validation=validation,
        n_users=retrieval.n_users,
        n_users_left_out=retrieval.n_users_left_out,
    )


def _rmse(
    transformed: TransformedExamples, model: Path, test: Interactions, users: Vectors, movies: Vectors
) -> float:
    predicted = predicted_ratings(
        load_signature(model / "ranker"),
        transformed,
        user_index=test.user_index,
        movie_index=test.movie_index,
        users=users,
        movies=movies,
    )
    return float(np.sqrt(np.mean((predicted - test.rating) ** 2)))


def bless(evaluation: Evaluation, config: EvaluatorConfig) -> Blessing:
    """Decide whether a model may be released.

    Args:
        evaluation: How good it is.
        config: What it must reach. Metrics that were not measured for want of a test part ask nothing.
    """
    if not evaluation.retrieval:
        return Blessing(blessed=True, reasons=("there is no test part to be judged by",))
    required = [(name, value, "at least") for name, value in config.minimum.items()]
    popular = evaluation.baselines["most_popular"]
    required += [
        (name, ratio * popular[name], f"at least {ratio:g} x most popular,")
        for name, ratio in config.minimum_over_most_popular.items()
    ]
    reached = [
        (
            evaluation.retrieval[name] >= value,
            f"{name} is {evaluation.retrieval[name]:.4f}, {words} {value:.4f}",
        )
        for name, value, words in required
    ]
    missed = tuple(f"{text} is required" for enough, text in reached if not enough)
    return Blessing(blessed=not missed, reasons=missed or tuple(text for _, text in reached))
