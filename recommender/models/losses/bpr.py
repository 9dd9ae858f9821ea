"""Bayesian personalised ranking: a rated movie should score above one that was not rated."""

import tensorflow as tf
import tensorflow_recommenders as tfrs

from recommender.models.losses.rated import rated


class Bpr(tf.keras.layers.Layer, tfrs.tasks.Task):
    """How far rated movies are from scoring above movies drawn from the catalogue.

    For a rating of movie `p` by user `u` and movies `j` that `u` has not rated::

        loss = mean over (u, p) and j of -log sigmoid((x_u . y_p - x_u . y_j) / T)

    Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback" (UAI 2009), the optimisation
    criterion without its regularisation. The movies drawn are shared by the whole batch, so that a rating is
    compared with many at the cost of one matrix product.

    Args:
        temperature: Differences of scores are divided by this.
        n_movies: Movies in the catalogue.
    """

    def __init__(self, temperature: float, n_movies: int, name: str = "bpr") -> None:
        super().__init__(name=name, dtype="float32")
        self._temperature = temperature
        self._n_movies = n_movies

    def call(
        self,
        user_vectors: tf.Tensor,
        movie_vectors: tf.Tensor,
        movie_index: tf.Tensor,
        history: tf.RaggedTensor,
    ) -> tf.Tensor:
        """Compute the loss.

        Args:
            user_vectors: float32 [batch, dimension], the user of each rating.
            movie_vectors: float32 [batch + drawn, dimension]: the movie of each rating, then those drawn.
            movie_index: int32 [batch + drawn], their positions in the catalogue.
            history: int32 ragged [batch, None], what else each user has rated.

        Returns:
            The loss, a scalar; 0 where every movie drawn was rated by every user.
        """
        batch = tf.shape(user_vectors)[0]
        positive, drawn = movie_index[:batch], movie_index[batch:]
        positive_scores = tf.reduce_sum(user_vectors * movie_vectors[:batch], axis=-1, keepdims=True)
        drawn_scores = tf.linalg.matmul(user_vectors, movie_vectors[batch:], transpose_b=True)
        losses = tf.nn.softplus((drawn_scores - positive_scores) / self._temperature)
        is_rated = rated(positive, history, drawn, self._n_movies)
        counts = tf.cast(~is_rated, tf.float32)
        return tf.math.divide_no_nan(tf.reduce_sum(losses * counts), tf.reduce_sum(counts))
