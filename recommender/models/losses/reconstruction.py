"""Normalised reconstruction: a user's scores of all movies should point where the user's ratings do."""

import tensorflow as tf
import tensorflow_recommenders as tfrs


class Reconstruction(tf.keras.layers.Layer, tfrs.tasks.Task):
    """Squared distance between a user's scores and ratings, both brought to length 1 over all movies.

    With `s_u` the scores `x_u . y_m` of the whole catalogue and `r_u` what the user rated, 0 elsewhere::

        loss = mean over users of |s_u / |s_u| - r_u / |r_u||^2

    Vancura et al., "Scalable Linear Shallow Autoencoder for Collaborative Filtering" (ELSA, RecSys 2022),
    eq. 4, summed over movies instead of averaged. Nothing is sampled, and yet the scores are never computed
    for movies that were not rated: the distance is `2 - 2 (s_u . r_u) / (|s_u| |r_u|)`, and
    `|s_u|^2 = x_u' (Y' Y) x_u` needs a matrix of dimension x dimension only. So a step takes time by the
    catalogue plus the batch, not by their product.
    """

    def __init__(self, name: str = "reconstruction") -> None:
        super().__init__(name=name, dtype="float32")

    def call(
        self,
        user_vectors: tf.Tensor,
        movie_vectors: tf.Tensor,
        positives: tf.RaggedTensor,
        weights: tf.RaggedTensor,
    ) -> tf.Tensor:
        """Compute the loss.

        Args:
            user_vectors: float32 [batch, dimension].
            movie_vectors: float32 [movies, dimension], the whole catalogue.
            positives: int32 ragged [batch, None], positions of each user's movies, at least one each.
            weights: float32 ragged [batch, None], what is reconstructed at each: 1, or the rating.

        Returns:
            The loss, a scalar between 0 and 4.
        """
        rows = positives.value_rowids()
        scores = tf.reduce_sum(
            tf.gather(user_vectors, rows) * tf.gather(movie_vectors, positives.values), axis=-1
        )
        product = tf.math.segment_sum(scores * weights.values, rows)
        weights_squared = tf.math.segment_sum(tf.square(weights.values), rows)
        gram = tf.linalg.matmul(movie_vectors, movie_vectors, transpose_a=True)
        scores_squared = tf.reduce_sum(tf.linalg.matmul(user_vectors, gram) * user_vectors, axis=-1)
        lengths_squared = tf.maximum(scores_squared * weights_squared, 1e-12)
        return tf.reduce_mean(2.0 - 2.0 * product * tf.math.rsqrt(lengths_squared))
