"""The full softmax: every movie of the catalogue competes, so nothing has to be sampled or corrected."""

import tensorflow as tf
import tensorflow_recommenders as tfrs


class FullSoftmax(tf.keras.layers.Layer, tfrs.tasks.Task):
    """Multinomial log-likelihood of a user's movies under a softmax over the whole catalogue.

    For a user `u` with movies `P`, vectors `x_u`, `y_m` and temperature `T`::

        loss_u = -1/|P| * sum over p in P of log softmax_m(x_u . y_m / T)[p]

    and the loss is the mean over users. Liang et al., "Variational Autoencoders for Collaborative Filtering"
    (WWW 2018), eq. 2, divided by the number of movies so that long histories do not drown short ones.

    Args:
        temperature: Scores are divided by this.
    """

    def __init__(self, temperature: float, name: str = "full_softmax") -> None:
        super().__init__(name=name, dtype="float32")
        self._temperature = temperature

    def call(
        self, user_vectors: tf.Tensor, movie_vectors: tf.Tensor, positives: tf.RaggedTensor
    ) -> tf.Tensor:
        """Compute the loss.

        Args:
            user_vectors: float32 [batch, dimension].
            movie_vectors: float32 [movies, dimension], the whole catalogue.
            positives: int32 ragged [batch, None], positions of each user's movies, at least one each.

        Returns:
            The loss, a scalar.
        """
        scores = tf.linalg.matmul(user_vectors, movie_vectors, transpose_b=True) / self._temperature
        # Only the positives' scores are gathered: a dense log-softmax would double the memory for nothing.
        log_normalizer = tf.reduce_logsumexp(scores, axis=-1)
        rows = tf.cast(positives.value_rowids(), positives.values.dtype)
        positive_scores = tf.gather_nd(scores, tf.stack([rows, positives.values], axis=-1))
        mean_positive = tf.math.segment_mean(positive_scores, rows)
        return tf.reduce_mean(log_normalizer - mean_positive)
