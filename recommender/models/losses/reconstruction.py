"""Normalised reconstruction: a user's scores of all movies should point where the user's ratings do."""

import tensorflow as tf
import tensorflow_recommenders as tfrs

from recommender.models.sum_of_rows import sum_of_rows


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
        weights: tf.RaggedTensor | None = None,
    ) -> tf.Tensor:
        """Compute the loss.

        Args:
            user_vectors: float32 [batch, dimension].
            movie_vectors: float32 [movies, dimension], the whole catalogue.
            positives: int32 ragged [batch, None], positions of each user's movies, at least one each.
            weights: float32 ragged [batch, None], what is reconstructed at each, such as the rating; 1 if not
                given.

        Returns:
            The loss, a scalar between 0 and 4.
        """
        # The scores of what was rated, summed: as sums of vectors, because these are faster to come by.
        given = None if weights is None else weights.values
        product = tf.reduce_sum(user_vectors * sum_of_rows(movie_vectors, positives, given), axis=-1)
        if weights is None:
            weights_squared = tf.cast(positives.row_lengths(), tf.float32)
        else:
            weights_squared = tf.reduce_sum(tf.square(weights), axis=-1)
        scores_squared = _scores_squared(user_vectors, movie_vectors)
        lengths_squared = tf.maximum(scores_squared * weights_squared, 1e-12)
        return tf.reduce_mean(2.0 - 2.0 * product * tf.math.rsqrt(lengths_squared))


def _scores_squared(user_vectors: tf.Tensor, movie_vectors: tf.Tensor) -> tf.Tensor:
    """The sum of the squares of each user's scores, float32 [batch]."""

    def of_scores() -> tf.Tensor:
        scores = tf.linalg.matmul(user_vectors, movie_vectors, transpose_b=True)
        return tf.reduce_sum(tf.square(scores), axis=-1)

    def of_products_of_movies() -> tf.Tensor:
        products = tf.linalg.matmul(movie_vectors, movie_vectors, transpose_a=True)
        return tf.reduce_sum(tf.linalg.matmul(user_vectors, products) * user_vectors, axis=-1)

    # The first takes batch x dimension multiplications a movie, the second dimension x dimension, and never
    # the memory of batch x movies scores.
    batch, dimension = tf.shape(user_vectors)[0], user_vectors.shape[-1]
    return tf.cond(batch < dimension, of_scores, of_products_of_movies)
