"""Fitting the two towers."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from recommender.evaluation.evaluator import dot_product, evaluate_ranking
from recommender.features.input import rating_batches, user_batches
from recommender.features.shard import ONE_WORKER, Shard
from recommender.features.transformed_examples import History, Interactions, Part, TransformedExamples
from recommender.models.two_tower import TwoTowerModel
from recommender.training.callbacks import BestWeights, OnAveragedWeights, Progress, StopOnNaN, Validation
from recommender.training.checkpoint import Checkpoint
from recommender.training.configuration import TrainerConfig
from recommender.training.optimizer import make_optimizer
from recommender.training.precision import computes_in_half, layers_in_half
from recommender.training.report import EpochLogs
from recommender.training.strategy import shared_out


@dataclass(frozen=True)
class FittedRetrieval:
    """The fitted towers.

    Attributes:
        model: With the weights of the best epoch, float32, on one device.
        epochs: How many epochs it was best after.
        curves: The logs of each epoch.
        seconds: How long the fit took, since it was last started.
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
    *,
    strategy: tf.distribute.Strategy | None = None,
    checkpoints: Path | None = None,
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
        strategy: Which devices train; one if not given.
        checkpoints: Folder of this fit alone, in which it keeps its state after each epoch and from which it
            continues; nothing is kept without one.
    """
    # Seeded anew, so that a fit gives the same result whatever ran before it.
    tf.keras.utils.set_random_seed(seed)
    strategy = strategy or tf.distribute.get_strategy()
    counts = np.bincount(train.movie_index, minlength=examples.n_movies)
    half = computes_in_half(config.mixed_precision)
    with strategy.scope(), layers_in_half(half):
        model = TwoTowerModel(config.model, examples, counts, seed)

    def batches(shard: Shard, first_epoch: int = 0) -> tf.data.Dataset:
        read = user_batches if model.reads == "users" else rating_batches
        return read(examples, parts, config.batch_size, config.input, seed, shard, first_epoch=first_epoch)

    best = BestWeights("val_ndcg@10", "max", config.patience) if len(validation) else None
    checkpoint = Checkpoint(checkpoints, epochs, best)
    shared, steps = shared_out(lambda shard: batches(shard, checkpoint.done), strategy)
    with strategy.scope():
        model.compile(optimizer=make_optimizer(config, steps, strategy.num_replicas_in_sync))
        if checkpoint.done:
            _make_variables(model, batches(ONE_WORKER))
            checkpoint.restore(model)
    result = model
    if half or strategy.num_replicas_in_sync > 1:
        result = TwoTowerModel(config.model, examples, counts, seed)
        result.compute_loss(next(iter(batches(ONE_WORKER))))

    chosen_by: list[tf.keras.callbacks.Callback] = []
    if best is not None:
        judge = _Judge(train, validation, examples.n_users, config.validation_users, seed)

        def validate() -> dict[str, float]:
            _take_weights(result, model)
            return judge(result)

        chosen_by = [Validation(validate), best]
        if config.weight_average:
            chosen_by = [OnAveragedWeights(chosen_by)]
    label = "retrieval" if best is not None else "retrieval, on everything"
    began = time.perf_counter()
    if not checkpoint.finished:
        model.fit(
            shared,
            steps_per_epoch=steps,
            initial_epoch=checkpoint.done,
            epochs=epochs,
            verbose=0,
            callbacks=[StopOnNaN(), *chosen_by, *more, Progress(label, epochs, len(train)), checkpoint],
        )
    _take_weights(result, model)
    chosen = best.epochs if best is not None else epochs
    return FittedRetrieval(result, chosen, checkpoint.curves, time.perf_counter() - began)


def _make_variables(model: TwoTowerModel, batches: tf.data.Dataset) -> None:
    """Make the variables that the first step would make."""
    model.compute_loss(next(iter(batches)))
    model.optimizer.build(model.trainable_variables)


def _take_weights(result: TwoTowerModel, model: TwoTowerModel) -> None:
    if result is not model:
        result.set_weights(model.get_weights())


class _Judge:
    """Judges a model on the validation ratings of some users.

    Args:
        train: What users are known by.
        validation: What is predicted.
        n_users: All users.
        most_users: How many of those with validation ratings are looked at.
        seed: Of the choice.
    """

    def __init__(
        self, train: Interactions, validation: Interactions, n_users: int, most_users: int, seed: int
    ) -> None:
        self._history = History.of(train, n_users)
        users = np.unique(validation.user_index)
        if len(users) > most_users:
            users = np.sort(np.random.default_rng(seed).choice(users, most_users, replace=False))
        self._users = users
        self._seen = _of_users(train, users)
        self._relevant = _of_users(validation, users)

    def __call__(self, model: TwoTowerModel) -> dict[str, float]:
        """Such as `{"val_ndcg@10": 0.2}`."""
        movies = model.movie_vectors()
        quality = evaluate_ranking(
            dot_product(model.user_vectors(self._history)[self._users], movies),
            seen=self._seen,
            relevant=self._relevant,
            n_movies=len(movies),
            ks=(10,),
            intervals=False,
        )
        return {f"val_{name}": quality.means[name] for name in ("ndcg@10", "recall@10", "coverage@10")}


def _of_users(ratings: Interactions, users: npt.NDArray[np.int32]) -> History:
    """The histories of some users, one row each, in their order."""
    keep = np.isin(ratings.user_index, users)
    rows = np.searchsorted(users, ratings.user_index[keep]).astype(np.int32)
    kept = Interactions(rows, ratings.movie_index[keep], ratings.rating[keep], ratings.timestamp[keep])
    return History.of(kept, len(users))
