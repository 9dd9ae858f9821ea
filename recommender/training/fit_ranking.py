"""Fitting the ranking head on the vectors of fitted towers."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from recommender.features.input import rating_batches
from recommender.features.transformed_examples import History, Interactions, Part, TransformedExamples
from recommender.models.ranking_head import RankingHead
from recommender.models.two_tower import TwoTowerModel
from recommender.training.callbacks import BestWeights, Progress, StopOnNaN
from recommender.training.configuration import TrainerConfig
from recommender.training.report import EpochLogs, epoch_logs


@dataclass(frozen=True)
class FittedRanking:
    """The fitted ranking head.

    Attributes:
        model: With the weights of the best epoch.
        epochs: How many epochs it was best after.
        curves: The logs of each epoch.
        seconds: How long the fit took.
    """

    model: RankingHead
    epochs: int
    curves: EpochLogs = field(repr=False)
    seconds: float


def fit_ranking(
    examples: TransformedExamples,
    config: TrainerConfig,
    seed: int,
    two_tower: TwoTowerModel,
    parts: Sequence[Part],
    train: Interactions,
    validation: Interactions,
    epochs: int,
) -> FittedRanking:
    """Fit the ranking head.

    Args:
        examples: What Transform wrote.
        config: Hyperparameters.
        seed: Of initial weights, dropout and order.
        two_tower: Fitted on the same parts; gives the vectors.
        parts: Which parts of the split are trained on.
        train: Their ratings.
        validation: What stopping is chosen by; without ratings, training goes through all its epochs.
        epochs: Most epochs.
    """
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
    return FittedRanking(head, chosen, epoch_logs(fitted.history), time.perf_counter() - began)


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
