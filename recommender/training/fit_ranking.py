"""Fitting the ranking head on the histories of users and movies."""

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tensorflow as tf

from recommender.features.ragged_history import Batch, RaggedHistory
from recommender.features.transformed_examples import History, Interactions
from recommender.models.ranking_head import RankingHead
from recommender.training.callbacks import BestWeights, Progress, StopOnNaN, Validation
from recommender.training.checkpoint import Checkpoint, WorkerFolders
from recommender.training.configuration import TrainerConfig
from recommender.training.report import EpochLogs

_PAIRS_AT_ONCE = 65_536


@dataclass(frozen=True)
class FittedRanking:
    """The fitted ranking head.

    Attributes:
        model: With the weights of the best epoch.
        epochs: How many epochs it was best after.
        curves: The logs of each epoch.
        seconds: How long the fit took, since it was last started.
    """

    model: RankingHead
    epochs: int
    curves: EpochLogs = field(repr=False)
    seconds: float


def fit_ranking(
    config: TrainerConfig,
    seed: int,
    n_users: int,
    n_movies: int,
    train: Interactions,
    validation: Interactions,
    epochs: int,
    *,
    checkpoints: Path | WorkerFolders | None = None,
) -> FittedRanking:
    """Fit the ranking head.

    Args:
        config: Hyperparameters.
        seed: Of initial weights and order.
        n_users: Users that training knows.
        n_movies: Movies of the catalogue.
        train: The ratings to train on.
        validation: What stopping is chosen by; without ratings, training goes through all its epochs.
        epochs: Most epochs.
        checkpoints: Folder of this fit alone, in which it keeps its state after each epoch and from which it
            continues; nothing is kept without one.
    """
    began = time.perf_counter()
    tf.keras.utils.set_random_seed(seed)
    scale = (float(train.rating.min()), float(train.rating.max()))
    head = RankingHead(config.ranking_head, n_users, n_movies, scale)
    head.learn_means(train)
    head.compile(optimizer=tf.keras.optimizers.Adam(config.ranking.learning_rate))
    users = History.of(train, n_users)
    movies = History.of(
        Interactions(train.movie_index, train.user_index, train.rating, train.timestamp), n_movies
    )

    def validation_rmse() -> dict[str, float]:
        head.remember(users, movies)
        errors = predicted_ratings(head, validation) - validation.rating
        return {"val_rmse": float(np.sqrt(np.mean(np.square(errors))))}

    best = BestWeights("val_rmse", "min", config.ranking.patience) if len(validation) else None
    chosen_by: list[tf.keras.callbacks.Callback] = []
    if best is not None:
        chosen_by = [Validation(validation_rmse), best]
    checkpoint = Checkpoint(checkpoints, epochs, best)
    if checkpoint.done:
        head.optimizer.build(head.trainable_variables)
        checkpoint.restore(head)
    label = "ranking" if best is not None else "ranking, on everything"
    steps = max(1, round(len(train) / config.ranking.batch_size))
    if not checkpoint.finished:
        head.fit(
            _owners_in_turn(users, movies, steps, seed, checkpoint.done),
            initial_epoch=checkpoint.done,
            epochs=epochs,
            steps_per_epoch=steps,
            verbose=0,
            callbacks=[StopOnNaN(), *chosen_by, Progress(label, epochs, len(train)), checkpoint],
        )
    head.remember(users, movies)
    chosen = best.epochs if best is not None else epochs
    return FittedRanking(head, chosen, checkpoint.curves, time.perf_counter() - began)


def predicted_ratings(head: RankingHead, pairs: Interactions) -> np.ndarray:
    """What the head predicts in place of some ratings, float32 [ratings], in stars."""
    batches = [np.empty(0, np.float32)]
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        stop = start + _PAIRS_AT_ONCE
        inputs = {
            "user_index": tf.constant(pairs.user_index[start:stop]),
            "movie_index": tf.constant(pairs.movie_index[start:stop]),
        }
        batches.append(head(inputs).numpy())
    return np.concatenate(batches)


def _owners_in_turn(
    users: History, movies: History, steps: int, seed: int, first_epoch: int
) -> tf.data.Dataset:
    """Endless epochs of `steps` batches, each of which takes its share of the users and of the movies.

    The order of an epoch follows from its number, the first of which is `first_epoch`, and from the seed.
    """
    sides = {"users": users, "movies": movies}
    tables = {name: RaggedHistory(history) for name, history in sides.items()}

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        orders = {
            name: tf.random.experimental.stateless_shuffle(
                tf.range(history.n_users), seed=tf.stack([tf.constant(seed, tf.int64), number])
            )
            for name, history in sides.items()
        }

        def batch(step: tf.Tensor) -> dict[str, Batch]:
            shares = {
                name: order[
                    tf.size(order, tf.int64) * step // steps : tf.size(order, tf.int64) * (step + 1) // steps
                ]
                for name, order in orders.items()
            }
            return {name: tables[name].users(owners) for name, owners in shares.items()}

        return tf.data.Dataset.range(steps).map(
            batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )

    return tf.data.Dataset.counter(first_epoch).flat_map(epoch).prefetch(tf.data.AUTOTUNE)
