"""Batches from ratings that are held in memory as tensors."""

from collections.abc import Iterator
from itertools import count

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from recommender.features.ragged_history import Batch, RaggedHistory
from recommender.features.shard import ONE_WORKER, Shard
from recommender.features.transformed_examples import History, Interactions


def memory_users(
    history: History, batch_size: int, seed: int, shard: Shard = ONE_WORKER, *, first_epoch: int = 0
) -> tf.data.Dataset:
    """Users in a new random order each epoch, each with its whole history.

    Users without ratings are left out. The last, smaller batch of an epoch is dropped, so that every step
    weighs a user alike.

    Args:
        history: What each user has rated.
        batch_size: Users in a batch; the number of users where those are fewer.
        seed: Of the order; that of an epoch follows from the seed and the number of the epoch.
        shard: Which worker's users.
        first_epoch: Number of the epoch that comes first.

    Returns:
        Batches as `RaggedHistory.users` gives them.
    """
    has_ratings = history.lengths > 0
    share = shard.share(has_ratings.astype(np.int64))
    size, steps = share.batches(batch_size)
    users = np.flatnonzero(has_ratings[share.start : share.stop]) + share.start
    user_of_place = tf.constant(users, tf.int32)
    ragged = RaggedHistory(history)
    return (
        _places(len(users), size, steps, seed, first_epoch)
        .map(
            lambda places: ragged.users(tf.gather(user_of_place, places)),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        .prefetch(tf.data.AUTOTUNE)
    )


def memory_ratings(
    interactions: Interactions,
    history: History | None,
    batch_size: int,
    seed: int,
    shard: Shard = ONE_WORKER,
    *,
    drop_remainder: bool = True,
    first_epoch: int = 0,
) -> tf.data.Dataset:
    """Ratings in a new random order each epoch, each with its user's history without the rated movie.

    Args:
        interactions: The ratings to go through.
        history: What each user has rated, the same ratings or more; without it, ratings come alone.
        batch_size: Ratings in a batch; the number of ratings where those are fewer.
        seed: Of the order; that of an epoch follows from the seed and the number of the epoch.
        shard: Which worker's ratings.
        drop_remainder: Whether the last, smaller batch of an epoch is dropped.
        first_epoch: Number of the epoch that comes first.

    Returns:
        Batches as `RaggedHistory.ratings` gives them; without histories `user_index`, `movie_index` and
        `rating` only.
    """
    share = shard.share(np.bincount(interactions.user_index))
    size, steps = share.batches(batch_size, drop_remainder=drop_remainder)
    own = (interactions.user_index >= share.start) & (interactions.user_index < share.stop)
    columns = {
        "user_index": tf.constant(interactions.user_index[own]),
        "movie_index": tf.constant(interactions.movie_index[own]),
        "rating": tf.constant(interactions.rating[own]),
    }
    ragged = None if history is None else RaggedHistory(history)

    def gather(position: tf.Tensor) -> Batch:
        batch = {name: tf.gather(column, position) for name, column in columns.items()}
        if ragged is None:
            return batch
        return ragged.ratings(batch["user_index"], batch["movie_index"], batch["rating"])

    return (
        _places(int(own.sum()), size, steps, seed, first_epoch, drop_remainder=drop_remainder)
        .map(gather, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .prefetch(tf.data.AUTOTUNE)
    )


def _places(
    n: int, size: int, steps: int, seed: int, first_epoch: int, *, drop_remainder: bool = True
) -> tf.data.Dataset:
    """Batches of the numbers below `n`, int64 [size], each time in the order of another epoch.

    NumPy permutes many times faster than `Dataset.shuffle`, which moves one element at a time, and the order
    follows from the number of the epoch alone.
    """
    epoch = count(first_epoch)

    def order() -> Iterator[npt.NDArray[np.int64]]:
        yield np.random.default_rng([seed, next(epoch)]).permutation(n)

    def cut(places: tf.Tensor) -> tf.data.Dataset:
        batches = tf.data.Dataset.range(steps).map(lambda step: places[step * size : (step + 1) * size])
        return batches.map(lambda batch: tf.ensure_shape(batch, [size])) if drop_remainder else batches

    return (
        tf.data.Dataset.from_generator(order, output_signature=tf.TensorSpec([n], tf.int64))
        .flat_map(cut)
        .apply(tf.data.experimental.assert_cardinality(steps))
    )
