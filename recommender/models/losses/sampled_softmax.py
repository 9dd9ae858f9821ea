"""The sampled softmax: some movies stand for the catalogue, corrected for how likely each was to be drawn."""

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_recommenders as tfrs

from recommender.models.losses.rated import rated


class SampledSoftmax(tf.keras.layers.Layer, tfrs.tasks.Task):
    """Softmax over the movies of the batch and, where some are given, over more drawn from the catalogue.

    With `B` ratings in a batch, whose movies are drawn as often as they are rated, `q(m) = n_m / n`, and `N`
    movies drawn uniformly from a catalogue of `M`, a candidate is drawn with the mixture's probability::

        Q(m) = (B * q(m) + N / M) / (B + N)
        s(u, m) = x_u . y_m / T - log Q(m)
        loss = mean over ratings (u, p) of log(sum over candidates m of exp(s(u, m))) - s(u, p)

    where a user's other movies, and the rated movie itself where it came up again, are no candidates. Without
    the correction popular movies would be pushed away for being in many batches. Yi et al.,
    "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations" (RecSys 2019), eq. 5; the
    mixture is that of Yang et al., "Mixed Negative Sampling for Learning Two-tower Neural Networks in
    Recommendations" (WWW 2020). With no movie drawn uniformly this is the in-batch softmax.

    Trained on several replicas, each sees the candidates of its own batch only, so `B` and `N` are a
    replica's.

    Args:
        temperature: Scores are divided by this.
        movie_counts: int64 [movies], ratings of each movie in training.
    """

    def __init__(
        self, temperature: float, movie_counts: npt.NDArray[np.int64], name: str = "sampled_softmax"
    ) -> None:
        super().__init__(name=name, dtype="float32")
        self._temperature = temperature
        self._rated_share = tf.constant(movie_counts / movie_counts.sum(), tf.float32)
        self._n_movies = len(movie_counts)

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
            movie_vectors: float32 [batch + drawn, dimension]: the movie of each rating, then those drawn
                uniformly.
            movie_index: int32 [batch + drawn], their positions in the catalogue.
            history: int32 ragged [batch, None], what else each user has rated.

        Returns:
            The loss, a scalar.
        """
        batch, candidates = tf.shape(user_vectors)[0], tf.shape(movie_index)[0]
        from_batch = tf.cast(batch, tf.float32) / tf.cast(candidates, tf.float32)
        probability = from_batch * tf.gather(self._rated_share, movie_index)
        probability += (1.0 - from_batch) / self._n_movies
        losses = _losses(
            tf.cast(user_vectors, tf.float32) / self._temperature,
            tf.cast(movie_vectors, tf.float32),
            movie_index,
            tf.math.log(probability),
            rated(history, movie_index, self._n_movies),
        )
        return tf.reduce_mean(losses)


# Compiled, because a batch squared of scores is gone through once then, not once an operation.
@tf.function(jit_compile=True)
def _losses(
    user_vectors: tf.Tensor,
    movie_vectors: tf.Tensor,
    movie_index: tf.Tensor,
    log_probability: tf.Tensor,
    is_rated: tf.Tensor,
) -> tf.Tensor:
    """The loss of each rating, float32 [batch]."""
    batch, candidates = tf.shape(user_vectors)[0], tf.shape(movie_index)[0]
    positive_scores = tf.reduce_sum(user_vectors * movie_vectors[:batch], axis=-1) - log_probability[:batch]
    scores = tf.linalg.matmul(user_vectors, movie_vectors, transpose_b=True) - log_probability
    is_rated |= movie_index[:batch, tf.newaxis] == movie_index
    is_own = tf.range(batch)[:, tf.newaxis] == tf.range(candidates)
    scores = tf.where(is_rated & ~is_own, scores.dtype.min, scores)
    return tf.reduce_logsumexp(scores, axis=-1) - positive_scores
