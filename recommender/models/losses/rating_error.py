"""The squared error of predicted ratings."""

import tensorflow as tf
import tensorflow_recommenders as tfrs


class RatingError(tfrs.tasks.Ranking):
    """Mean squared error of ratings: ``mean over ratings of (predicted - rating)^2``."""

    def __init__(self, name: str = "rating_error") -> None:
        # A number a rating, which `call` averages: `tf.distribute` refuses losses that do so themselves.
        none = tf.keras.losses.Reduction.NONE
        super().__init__(loss=tf.keras.losses.MeanSquaredError(reduction=none), name=name)

    def call(self, rating: tf.Tensor, predicted: tf.Tensor) -> tf.Tensor:
        """Compute the loss.

        Args:
            rating: float32 [batch], in stars.
            predicted: float32 [batch], in stars.

        Returns:
            The loss, a scalar, in stars squared.
        """
        return tf.reduce_mean(super().call(rating[:, tf.newaxis], predicted[:, tf.newaxis]))
