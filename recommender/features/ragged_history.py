"""Histories as tensors, from which batches are gathered."""

from typing import Any

import tensorflow as tf

from recommender.features.transformed_examples import History

Batch = dict[str, Any]


class RaggedHistory:
    """Histories as tensors, from which batches are gathered, without any work for each row in Python.

    Args:
        history: What each user has rated, as arrays or as tensors.
        user_index: int32 [rows], the user of each row; without it, row and user are the same.
    """

    def __init__(self, history: History, user_index: tf.Tensor | None = None) -> None:
        splits = tf.convert_to_tensor(history.row_splits)
        self._movie_index, self._rating = (
            tf.RaggedTensor.from_row_splits(tf.convert_to_tensor(values), splits, validate=False)
            for values in (history.movie_index, history.rating)
        )
        self._user_index = user_index

    def user_index(self, rows: tf.Tensor) -> tf.Tensor:
        """The users of some rows, int32 [batch]."""
        return rows if self._user_index is None else tf.gather(self._user_index, rows)

    def users(self, rows: tf.Tensor) -> Batch:
        """Some users, each with the whole history.

        Args:
            rows: Integers [batch].

        Returns:
            `user_index` int32 [batch], `history` int32 ragged [batch, None] of movie positions,
            `history_rating` float32 ragged [batch, None].
        """
        return {
            "user_index": self.user_index(rows),
            "history": tf.gather(self._movie_index, rows),
            "history_rating": tf.gather(self._rating, rows),
        }

    def ratings(self, rows: tf.Tensor, movie_index: tf.Tensor, rating: tf.Tensor) -> Batch:
        """Some ratings, each with its user's history without the rated movie.

        Args:
            rows: Integers [batch], the row of each rating's user.
            movie_index: int32 [batch].
            rating: float32 [batch].

        Returns:
            What `users` gives, with `movie_index` and `rating`.
        """
        batch = self.users(rows)
        history = batch["history"]
        # A tower that sees the movie it has to predict learns to copy it.
        others = history.values != tf.gather(movie_index, history.value_rowids())
        places = tf.where(others)[:, 0]
        others_before = tf.concat([[0], tf.cumsum(tf.cast(others, tf.int64))], axis=0)
        splits = tf.gather(others_before, history.row_splits)
        return {
            "user_index": batch["user_index"],
            # Several times faster than `tf.ragged.boolean_mask`.
            **{
                name: tf.RaggedTensor.from_row_splits(
                    tf.gather(batch[name].values, places), splits, validate=False
                )
                for name in ("history", "history_rating")
            },
            "movie_index": movie_index,
            "rating": rating,
        }
