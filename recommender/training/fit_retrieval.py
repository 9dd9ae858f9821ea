"""Fitting the two towers."""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import tensorflow as tf

from recommender.evaluation.evaluator import dot_product, evaluate_ranking
from recommender.features.input import rating_batches, user_batches
from recommender.features.shard import ONE_WORKER, Shard
from recommender.features.transformed_examples import History, Interactions, Part, TransformedExamples
from recommender.models.closed_form import ClosedForm
from recommender.models.two_tower import TwoTowerModel
from recommender.training.callbacks import BestWeights, OnAveragedWeights, Progress, StopOnNaN, Validation
from recommender.training.checkpoint import Checkpoint, WorkerFolders
from recommender.training.configuration import TrainerConfig
from recommender.training.optimizer import make_optimizer
from recommender.training.precision import computes_in_half, layers_in_half
from recommender.training.report import EpochLogs
from recommender.training.strategy import shared_out

logger = logging.getLogger(__name__)

_OBJECTIVE: Final = "val_ndcg@10"
_HALF_LIFE: Final = "half_life"
_RECENT_WEIGHT: Final = "recent_weight"


@dataclass(frozen=True)
class FittedRetrieval:
    """The fitted towers.

    Attributes:
        model: With the weights of the best epoch, float32, on one device.
        epochs: How many epochs it was best after.
        chosen: What validation chose once it was trained, by name.
        curves: The logs of each epoch.
        seconds: How long the fit took, since it was last started.
    """

    model: TwoTowerModel
    epochs: int
    chosen: dict[str, float]
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
    chosen: Mapping[str, float] | None = None,
    strategy: tf.distribute.Strategy | None = None,
    checkpoints: Path | WorkerFolders | None = None,
) -> FittedRetrieval:
    """Fit the two towers.

    Args:
        examples: What Transform wrote.
        config: Hyperparameters.
        seed: Of initial weights, dropout and order.
        parts: Which parts of the split are trained on.
        train: Their ratings.
        validation: What stopping, the weight of recent popularity and the half-life of ratings are chosen
            by; without ratings, training goes through all its epochs.
        epochs: Most epochs.
        more: Further callbacks.
        chosen: What another fit's validation chose, where there is none here.
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

    best = BestWeights(_OBJECTIVE, "max", config.patience) if len(validation) else None
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

    began = time.perf_counter()
    history = History.of(train, examples.n_users)
    finishing = _Finishing(config, result, ClosedForm(config.model, train, history, examples.n_movies))
    chosen_by: list[tf.keras.callbacks.Callback] = []
    if best is not None:
        judge = _Judge(history, validation, config.validation_users, seed)

        def validate() -> dict[str, float]:
            _take_weights(result, model)
            finishing.apply(finishing.first)
            return judge(result)

        chosen_by = [Validation(validate), best]
        if config.weight_average:
            chosen_by = [OnAveragedWeights(chosen_by)]
    label = "retrieval" if best is not None else "retrieval, on everything"
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
    if best is not None:
        chosen = finishing.choose(lambda: judge(result)[_OBJECTIVE])
    finishing.apply(chosen or finishing.first)
    return FittedRetrieval(
        result,
        best.epochs if best is not None else epochs,
        dict(chosen or finishing.first),
        checkpoint.curves,
        time.perf_counter() - began,
    )


class _Finishing:
    """What is done to a model once its towers are trained: what is not learned is put beside, and weighed.

    Args:
        config: What there is to choose from.
        model: The model.
        closed_form: What is put beside its learned vectors.
    """

    def __init__(self, config: TrainerConfig, model: TwoTowerModel, closed_form: ClosedForm) -> None:
        self._model, self._closed_form = model, closed_form
        self._options: dict[str, tuple[float, ...]] = {}
        if config.model.user_tower.half_lives:
            self._options[_HALF_LIFE] = (math.inf, *config.model.user_tower.half_lives)
        if config.model.recent_popularity is not None:
            self._options[_RECENT_WEIGHT] = config.model.recent_popularity.weights
        self.first = {name: values[0] for name, values in self._options.items()}

    def apply(self, chosen: Mapping[str, float]) -> None:
        """Put everything beside what the model has learned by now."""
        if _HALF_LIFE in chosen:
            self._model.user_tower.half_life.assign(chosen[_HALF_LIFE])
        self._closed_form.put_beside(self._model, chosen.get(_RECENT_WEIGHT, 0.0))

    def choose(self, measure: Callable[[], float]) -> dict[str, float]:
        """Choose each of the options by what the model then achieves, one after the other."""
        chosen = dict(self.first)
        for name, values in self._options.items():
            by_value = {}
            for value in values:
                self.apply({**chosen, name: value})
                by_value[value] = measure()
            chosen[name] = max(by_value, key=by_value.__getitem__)
            tried = ", ".join(f"{quality:.4f} at {value:g}" for value, quality in by_value.items())
            logger.info("retrieval: %s %g is best: %s %s", name, chosen[name], _OBJECTIVE, tried)
        return chosen


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
        history: What users are known by.
        validation: What is predicted.
        most_users: How many of those with validation ratings are looked at.
        seed: Of the choice.
    """

    def __init__(self, history: History, validation: Interactions, most_users: int, seed: int) -> None:
        users = np.unique(validation.user_index)
        if len(users) > most_users:
            users = np.sort(np.random.default_rng(seed).choice(users, most_users, replace=False))
        self._users = users
        self._seen = history.of_users(users)
        self._relevant = History.of(validation, history.n_users).of_users(users)

    def __call__(self, model: TwoTowerModel) -> dict[str, float]:
        """Such as `{"val_ndcg@10": 0.2}`."""
        movies = model.movie_vectors()
        quality = evaluate_ranking(
            dot_product(model.user_vectors(self._seen, self._users), movies),
            seen=self._seen,
            relevant=self._relevant,
            n_movies=len(movies),
            ks=(10,),
            intervals=False,
        )
        return {f"val_{name}": quality.means[name] for name in ("ndcg@10", "recall@10", "coverage@10")}
