"""The sampled softmax: some movies stand for the catalogue, corrected for how likely each was to be drawn."""

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_recommenders as tfrs

from recommender.models.losses.rated import rated


class SampledSoftmax(tfrs.tasks.Retrieval):
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
        super().__init__(
            # A number a rating, which `call` averages: `tf.distribute` refuses losses that do so themselves.
            loss=tf.keras.losses.CategoricalCrossentropy(
                from_logits=True, reduction=tf.keras.losses.Reduction.NONE
            ),
            temperature=temperature,
            name=name,
        )
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
        own = tf.eye(batch, candidates, dtype=tf.bool)
        is_rated = rated(movie_index[:batch], history, movie_index, self._n_movies)
        losses = super().call(
            tf.cast(user_vectors, tf.float32),
            movie_vectors,
            # A common factor changes no softmax; this one keeps clear of 1e-6, below which TFRS cuts off.
            candidate_sampling_probability=probability / tf.reduce_max(probability),
            compute_metrics=False,
            score_mask=own | ~is_rated,
        )
        return tf.reduce_mean(losses)
