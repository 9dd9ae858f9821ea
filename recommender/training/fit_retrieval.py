"""Fitting the two towers."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from recommender.evaluation.evaluator import dot_product, evaluate_ranking
from recommender.features.input import rating_batches, user_batches
from recommender.features.transformed_examples import History, Interactions, Part, TransformedExamples
from recommender.models.two_tower import TwoTowerModel
from recommender.training.callbacks import BestWeights, Progress, StopOnNaN, Validation
from recommender.training.configuration import TrainerConfig
from recommender.training.report import EpochLogs, epoch_logs


@dataclass(frozen=True)
class FittedRetrieval:
    """The fitted towers.

    Attributes:
        model: With the weights of the best epoch.
        epochs: How many epochs it was best after.
        curves: The logs of each epoch.
        seconds: How long the fit took.
    """

    model: TwoTowerModel
    epochs: int
    curves: EpochLogs = field(repr=False)
    seconds: float


def fit_retrieval(
    examples: TransformedExamples,
    config: TrainerConfig,
    seed: int,
    parts: Sequence[Part],
    train: Interactions,
    validation: Interactions,
    epochs: int,
    more: list[tf.keras.callbacks.Callback],
) -> FittedRetrieval:
    """Fit the two towers.

    Args:
        examples: What Transform wrote.
        config: Hyperparameters.
        seed: Of initial weights, dropout and order.
        parts: Which parts of the split are trained on.
        train: Their ratings.
        validation: What stopping is chosen by; without ratings, training goes through all its epochs.
        epochs: Most epochs.
        more: Further callbacks.
    """
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
    return FittedRetrieval(model, chosen, epoch_logs(fitted.history), time.perf_counter() - began)


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


def _optimizer(config: TrainerConfig) -> tf.keras.optimizers.Optimizer:
    if config.weight_decay:
        return tf.keras.optimizers.AdamW(
            config.learning_rate, weight_decay=config.weight_decay, global_clipnorm=config.clip_norm
        )
    return tf.keras.optimizers.Adam(config.learning_rate, global_clipnorm=config.clip_norm)
