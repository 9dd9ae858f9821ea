"""Model input as `tf.data`: a user at a time or a rating at a time, whole batches, no per-row Python."""

from typing import Any

import tensorflow as tf

from recommender.features.transformed_examples import History, Interactions

Batch = dict[str, Any]


class RaggedHistory:
    """Histories held once as tensors, from which batches of users are gathered.

    Args:
        history: What each user has rated.
    """

    def __init__(self, history: History) -> None:
        splits = tf.constant(history.row_splits)
        self._movie_index = tf.RaggedTensor.from_row_splits(tf.constant(history.movie_index), splits)
        self._rating = tf.RaggedTensor.from_row_splits(tf.constant(history.rating), splits)

    def of(self, user_index: tf.Tensor) -> Batch:
        """The histories of some users.

        Args:
            user_index: int32 [batch].

        Returns:
            `user_index` int32 [batch], `history` int32 ragged [batch, None] of movie positions,
            `history_rating` float32 ragged [batch, None].
        """
        return {
            "user_index": user_index,
            "history": tf.gather(self._movie_index, user_index),
            "history_rating": tf.gather(self._rating, user_index),
        }


def users_with_history(history: History, batch_size: int, seed: int) -> tf.data.Dataset:
    """Users in a new random order each epoch, each with its whole history.

    Users without ratings are left out. The last, smaller batch of an epoch is dropped, so that every step
    weighs a user alike.

    Args:
        history: What each user has rated.
        batch_size: Users in a batch; the number of users where those are fewer.
        seed: Of the order.

    Returns:
        Batches as `RaggedHistory.of` gives them.
    """
    users = tf.constant(history.lengths.nonzero()[0], tf.int32)
    n_users = int(users.shape[0])
    ragged = RaggedHistory(history)
    return (
        tf.data.Dataset.from_tensor_slices(users)
        .shuffle(n_users, seed=seed, reshuffle_each_iteration=True)
        .batch(min(batch_size, n_users), drop_remainder=True)
        .map(ragged.of, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .prefetch(tf.data.AUTOTUNE)
    )


def ratings_with_history(
    interactions: Interactions, history: History, batch_size: int, seed: int
) -> tf.data.Dataset:
    """Ratings in a new random order each epoch, each with its user's history without the rated movie.

    Args:
        interactions: The ratings to go through.
        history: What each user has rated, the same ratings or more.
        batch_size: Ratings in a batch; the number of ratings where those are fewer.
        seed: Of the order.

    Returns:
        Batches as `RaggedHistory.of` gives them, with `movie_index` int32 [batch] and `rating` float32
        [batch].
    """
    columns = (
        tf.constant(interactions.user_index),
        tf.constant(interactions.movie_index),
        tf.constant(interactions.rating),
    )
    ragged = RaggedHistory(history)

    def gather(position: tf.Tensor) -> Batch:
        user_index, movie_index, rating = (tf.gather(column, position) for column in columns)
        batch = ragged.of(user_index)
        # A tower that sees the movie it has to predict learns to copy it.
        others = batch["history"] != movie_index[:, tf.newaxis]
        batch["history"] = tf.ragged.boolean_mask(batch["history"], others)
        batch["history_rating"] = tf.ragged.boolean_mask(batch["history_rating"], others)
        return {**batch, "movie_index": movie_index, "rating": rating}

    size = len(interactions)
    return (
        tf.data.Dataset.range(size)
        .shuffle(size, seed=seed, reshuffle_each_iteration=True)
        .batch(min(batch_size, size), drop_remainder=True)
        .map(gather, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .prefetch(tf.data.AUTOTUNE)
    )
