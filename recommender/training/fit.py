"""Fitting the towers and the ranking head, with stopping chosen on the validation part."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from recommender.errors import TrainingError
from recommender.evaluation.evaluator import dot_product, evaluate_ranking
from recommender.features.input import rating_batches, user_batches
from recommender.features.transformed_examples import History, Interactions, Part, TransformedExamples
from recommender.models.ranking_head import RankingHead
from recommender.models.saved_models import save_movie_tower, save_ranking_head, save_user_tower
from recommender.models.two_tower import TwoTowerModel
from recommender.training.callbacks import BestWeights, Progress, StopOnNaN, Validation
from recommender.training.configuration import Tracking, TrainerConfig
from recommender.training.report import TrainingReport
from recommender.training.tracking import tracked

logger = logging.getLogger(__name__)

EpochLogs = dict[str, list[float]]


@dataclass(frozen=True)
class FittedModel:
    """What training made.

    Attributes:
        two_tower: The towers.
        ranking_head: The head on top of them.
        epochs: How many epochs each was best after.
        validation: The best validation metrics.
        curves: The logs of each epoch.
        seconds: How long each fit took.
    """

    two_tower: TwoTowerModel
    ranking_head: RankingHead
    epochs: dict[str, int]
    validation: dict[str, float]
    curves: dict[str, EpochLogs] = field(repr=False)
    seconds: dict[str, float]


def seed_everything(seed: int) -> None:
    """Make TensorFlow's, NumPy's and Python's random numbers, and the order of sums, repeatable."""
    tf.keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def fit(
    examples: TransformedExamples,
    config: TrainerConfig,
    seed: int,
    callbacks: list[tf.keras.callbacks.Callback] | None = None,
) -> FittedModel:
    """Fit the towers, then the ranking head on their vectors.

    Without a validation part training goes through all its epochs.

    Args:
        examples: What Transform wrote.
        config: Hyperparameters.
        seed: Of initial weights, dropout and order.
        callbacks: More Keras callbacks for the fit that chooses the number of epochs.

    Raises:
        TrainingError: there is nothing to train on, or the loss stopped being a number.
    """
    seed_everything(seed)
    train = examples.interactions("train").known()
    validation = examples.interactions("validation").known()
    if not len(train):
        raise TrainingError(
            "The training part has no ratings: loosen the filters of transform.split, or give more ratings."
        )
    two_tower, epochs, curves, seconds = _fit_retrieval(
        examples, config, seed, ("train",), train, validation, config.epochs, callbacks or []
    )
    result: dict[str, float] = {}
    if len(validation):
        result = {name: values[epochs - 1] for name, values in curves.items() if name.startswith("val_")}
    ranking_head, rank_epochs, rank_curves, rank_seconds = _fit_ranking(
        examples, config, seed, two_tower, ("train",), train, validation, config.ranking.epochs
    )
    if "val_rmse" in rank_curves:
        result["val_rmse"] = rank_curves["val_rmse"][rank_epochs - 1]
    if config.refit and len(validation):
        both: tuple[Part, ...] = ("train", "validation")
        known = train + validation
        nothing = validation.none()
        two_tower, _, _, again = _fit_retrieval(examples, config, seed, both, known, nothing, epochs, [])
        ranking_head, _, _, rank_again = _fit_ranking(
            examples, config, seed, two_tower, both, known, nothing, rank_epochs
        )
        seconds, rank_seconds = seconds + again, rank_seconds + rank_again
    return FittedModel(
        two_tower,
        ranking_head,
        {"retrieval": epochs, "ranking": rank_epochs},
        result,
        {"retrieval": curves, "ranking": rank_curves},
        {"retrieval": seconds, "ranking": rank_seconds},
    )


def _fit_retrieval(
    examples: TransformedExamples,
    config: TrainerConfig,
    seed: int,
    parts: Sequence[Part],
    train: Interactions,
    validation: Interactions,
    epochs: int,
    more: list[tf.keras.callbacks.Callback],
) -> tuple[TwoTowerModel, int, EpochLogs, float]:
    # Seeded anew, so that a fit gives the same result whatever ran before it.
    tf.keras.utils.set_random_seed(seed)
    history = History.of(train, examples.n_users)
    counts = np.bincount(train.movie_index, minlength=examples.n_movies)
    model = TwoTowerModel(config.model, examples, counts)
    model.compile(optimizer=_optimizer(config))
    if config.model.loss == "full_softmax":
        batches = user_batches(examples, parts, config.batch_size, config.input, seed)
    else:
        batches = rating_batches(examples, parts, config.batch_size, config.input, seed)
    best = BestWeights("val_ndcg@10", "max", config.patience)
    callbacks: list[tf.keras.callbacks.Callback] = [StopOnNaN()]
    if len(validation):
        relevant = History.of(validation, examples.n_users)
        callbacks += [Validation(lambda: _validation_metrics(model, history, relevant)), best]
    label = "retrieval" if len(validation) else "retrieval, on everything"
    began = time.perf_counter()
    fitted = model.fit(
        batches, epochs=epochs, verbose=0, callbacks=[*callbacks, *more, Progress(label, epochs, len(train))]
    )
    chosen = best.epochs if len(validation) else epochs
    return model, chosen, _plain(fitted.history), time.perf_counter() - began


def _validation_metrics(model: TwoTowerModel, history: History, relevant: History) -> dict[str, float]:
    movies = model.movie_vectors()
    quality = evaluate_ranking(
        dot_product(model.user_vectors(history), movies),
        seen=history,
        relevant=relevant,
        n_movies=len(movies),
        ks=(10,),
        intervals=False,
    )
    return {f"val_{name}": quality.means[name] for name in ("ndcg@10", "recall@10", "coverage@10")}


def _fit_ranking(
    examples: TransformedExamples,
    config: TrainerConfig,
    seed: int,
    two_tower: TwoTowerModel,
    parts: Sequence[Part],
    train: Interactions,
    validation: Interactions,
    epochs: int,
) -> tuple[RankingHead, int, EpochLogs, float]:
    tf.keras.utils.set_random_seed(seed)
    users = two_tower.user_vectors(History.of(train, examples.n_users))
    movies = two_tower.movie_vectors()
    head = RankingHead(config.ranking_head, examples.n_users, examples.n_movies, float(train.rating.mean()))
    head.compile(optimizer=tf.keras.optimizers.Adam(config.ranking.learning_rate))
    ratings = rating_batches(
        examples, parts, config.ranking.batch_size, config.input, seed, history=False, drop_remainder=False
    )
    batches = _with_vectors(ratings, users, movies)
    callbacks: list[tf.keras.callbacks.Callback] = [StopOnNaN()]
    best = BestWeights("val_rmse", "min", config.ranking.patience)
    held_out = None
    if len(validation):
        held_out = _with_vectors(_in_order(validation, config.ranking.batch_size), users, movies)
        callbacks.append(best)
    label = "ranking" if len(validation) else "ranking, on everything"
    began = time.perf_counter()
    fitted = head.fit(
        batches,
        epochs=epochs,
        verbose=0,
        validation_data=held_out,
        callbacks=[*callbacks, Progress(label, epochs, len(train))],
    )
    chosen = best.epochs if len(validation) else epochs
    return head, chosen, _plain(fitted.history), time.perf_counter() - began


def _in_order(interactions: Interactions, batch_size: int) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(
        {
            "user_index": interactions.user_index,
            "movie_index": interactions.movie_index,
            "rating": interactions.rating,
        }
    ).batch(batch_size)


def _with_vectors(
    ratings: tf.data.Dataset, users: npt.NDArray[np.float32], movies: npt.NDArray[np.float32]
) -> tf.data.Dataset:
    user_table, movie_table = tf.constant(users), tf.constant(movies)
    return ratings.map(
        lambda batch: {
            **batch,
            "user_vector": tf.gather(user_table, batch["user_index"]),
            "movie_vector": tf.gather(movie_table, batch["movie_index"]),
        }
    ).prefetch(tf.data.AUTOTUNE)


def _optimizer(config: TrainerConfig) -> tf.keras.optimizers.Optimizer:
    if config.weight_decay:
        return tf.keras.optimizers.AdamW(
            config.learning_rate, weight_decay=config.weight_decay, global_clipnorm=config.clip_norm
        )
    return tf.keras.optimizers.Adam(config.learning_rate, global_clipnorm=config.clip_norm)


def _plain(logs: dict[str, list[Any]]) -> EpochLogs:
    return {name: [float(value) for value in values] for name, values in logs.items()}


def train(
    examples: TransformedExamples, config: TrainerConfig, seed: int, tracking: Tracking, output: Path
) -> FittedModel:
    """Fit, report to MLflow and TensorBoard, and write the model.

    Args:
        examples: What Transform wrote.
        config: Hyperparameters.
        seed: Of everything random.
        tracking: Where the run reports to.
        output: Gets `user_tower/`, `movie_tower/` and `ranker/` (SavedModels) and `training.json`.
    """
    with tracked(tracking, config, seed, examples) as run:
        fitted = fit(examples, config, seed, run.callbacks())
        output.mkdir(parents=True, exist_ok=True)
        save_user_tower(fitted.two_tower.user_tower, examples, output / "user_tower")
        save_movie_tower(fitted.two_tower.movie_tower, examples, output / "movie_tower")
        save_ranking_head(fitted.ranking_head, examples, config.model.dimension, output / "ranker")
        report = TrainingReport(
            config=config,
            seed=seed,
            epochs=fitted.epochs,
            validation=fitted.validation,
            seconds=fitted.seconds,
            curves=fitted.curves,
            mlflow_run_id=run.run_id,
        )
        run.finish(report, [report.write(output)])
    logger.info(
        "retrieval was best after %d epochs, ranking after %d; fitting took %.0f s",
        fitted.epochs["retrieval"],
        fitted.epochs["ranking"],
        sum(fitted.seconds.values()),
    )
    return fitted
