"""Batches from ratings that are held in memory as tensors."""

import numpy as np
import tensorflow as tf

from recommender.features.ragged_history import Batch, RaggedHistory
from recommender.features.shard import ONE_WORKER, Shard
from recommender.features.transformed_examples import History, Interactions


def memory_users(history: History, batch_size: int, seed: int, shard: Shard = ONE_WORKER) -> tf.data.Dataset:
    """Users in a new random order each epoch, each with its whole history.

    Users without ratings are left out. The last, smaller batch of an epoch is dropped, so that every step
    weighs a user alike.

    Args:
        history: What each user has rated.
        batch_size: Users in a batch; the number of users where those are fewer.
        seed: Of the order.
        shard: Which worker's users.

    Returns:
        Batches as `RaggedHistory.users` gives them.
    """
    has_ratings = history.lengths > 0
    share = shard.share(has_ratings.astype(np.int64))
    size, steps = share.batches(batch_size)
    users = np.flatnonzero(has_ratings[share.start : share.stop]) + share.start
    ragged = RaggedHistory(history)
    return (
        tf.data.Dataset.from_tensor_slices(tf.constant(users, tf.int32))
        .shuffle(len(users), seed=seed, reshuffle_each_iteration=True)
        .batch(size, drop_remainder=True)
        .take(steps)
        .map(ragged.users, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
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
) -> tf.data.Dataset:
    """Ratings in a new random order each epoch, each with its user's history without the rated movie.

    Args:
        interactions: The ratings to go through.
        history: What each user has rated, the same ratings or more; without it, ratings come alone.
        batch_size: Ratings in a batch; the number of ratings where those are fewer.
        seed: Of the order.
        shard: Which worker's ratings.
        drop_remainder: Whether the last, smaller batch of an epoch is dropped.

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

    n_ratings = int(own.sum())
    return (
        tf.data.Dataset.range(n_ratings)
        .shuffle(n_ratings, seed=seed, reshuffle_each_iteration=True)
        .batch(size, drop_remainder=drop_remainder)
        .take(steps)
        .map(gather, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .prefetch(tf.data.AUTOTUNE)
    )
