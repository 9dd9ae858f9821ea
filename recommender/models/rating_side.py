"""One of the two sides that ratings are predicted from: what a user has rated, or who rated a movie."""

import tensorflow as tf


class RatingSide(tf.keras.layers.Layer):
    """Predicts what an *owner* of a history gives to *others*: a user to movies, or a movie to its raters.

    The owner's vector is ``x = tanh(sum_j ((r_j - m_j) t_j + p_j) / sqrt(n) + c)`` over the n others of
    the history, and the rating ``m_i + sum_j (r_j - m_j) / (n + k) + b_i + x . q_i``, where ``m_j`` is the
    mean of other j, and ``t``, ``p``, ``q``, ``b``, ``c`` and ``k`` are learned. Owners have no weights of
    their own. With users as owners this is the asymmetric model of Koren, "Factorization Meets the
    Neighborhood" (2008), eq. 13, with a squashed sum; with movies as owners the item-based model of Sedhain
    et al., "AutoRec: Autoencoders Meet Collaborative Filtering" (2015), whose ratings predict each other.

    Args:
        n_others: How many others there are.
        width: Of the vectors.
        mean_prior: How many ratings of average height an other's mean begins with.
        name: Of the layer.
    """

    def __init__(self, n_others: int, width: int, mean_prior: float, name: str) -> None:
        super().__init__(name=name, dtype=tf.float32, autocast=False)
        self._mean_prior, self._parts = mean_prior, [width, width, width, 1]
        # Row 0 is for the unknown. One table for t, p, q and b, so that a step gathers each other once.
        self.others = self.add_weight(
            "others",
            [n_others + 1, 3 * width + 1],
            initializer=tf.keras.initializers.RandomNormal(stddev=0.05),
        )
        self.offset = self.add_weight("offset", [width], initializer="zeros")
        self.shrinkage = self.add_weight("shrinkage", [], initializer=tf.keras.initializers.Constant(3.0))
        self.overall_mean = self.add_weight("overall_mean", [], initializer="zeros", trainable=False)
        self.totals = self.add_weight("totals", [n_others + 1], initializer="zeros", trainable=False)
        self.counts = self.add_weight("counts", [n_others + 1], initializer="zeros", trainable=False)

    def learn_means(self, other_index: tf.Tensor, rating: tf.Tensor) -> None:
        """Note the mean of each other.

        Args:
            other_index: int32 [ratings].
            rating: float32 [ratings], in stars.
        """
        self.overall_mean.assign(tf.reduce_mean(rating))
        rows = self.counts.shape[0]
        for weight, values in (
            (self.totals, rating - self.overall_mean),
            (self.counts, tf.ones_like(rating)),
        ):
            weight.assign(tf.math.unsorted_segment_sum(values, other_index + 1, rows))

    def states(self, history: tf.RaggedTensor, rating: tf.RaggedTensor) -> tf.Tensor:
        """Sum up histories.

        Args:
            history: int32 [owners, None], positions of others, -1 for an unknown one.
            rating: float32 [owners, None], in stars.

        Returns:
            float32 [owners, width + 1]: the vector, and how far above the means the owner rates.
        """
        entries, _ = self._entries(history.values, rating.values)
        return self._state(tf.math.unsorted_segment_sum(entries, history.value_rowids(), history.nrows()))

    def rate(self, state: tf.Tensor, other_index: tf.Tensor) -> tf.Tensor:
        """Predict ratings.

        Args:
            state: float32 [batch, width + 1], as of `states`.
            other_index: int32 [batch], -1 for the unknown.

        Returns:
            float32 [batch], in stars.
        """
        row = other_index + 1
        return self._rate(state, self._mean(row), self._known_rows(row))

    def leave_one_out(self, history: tf.RaggedTensor, rating: tf.RaggedTensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Predict each rating of some histories from the rest of its history.

        The mean of the rated other leaves the rating out as well.

        Args:
            history: int32 [owners, None], positions of others.
            rating: float32 [owners, None], in stars.

        Returns:
            float32 [ratings], in stars; and the penalty, a scalar: the mean squared length of the weights
            used.
        """
        entries, weights = self._entries(history.values, rating.values)
        owner = history.value_rowids()
        totals = tf.math.unsorted_segment_sum(entries, owner, history.nrows())
        state = self._state(tf.gather(totals, owner) - entries)
        row = history.values + 1
        own = rating.values - self.overall_mean
        rest = tf.maximum(tf.gather(self.counts, row) - 1, 0)
        mean = self.overall_mean + (tf.gather(self.totals, row) - own) / (rest + self._mean_prior)
        predicted = self._rate(state, mean, weights)
        # An entry is what the rating adds to the sum, so that far-off ratings are held back more.
        used = tf.reduce_sum(tf.square(entries[:, :-2]), axis=-1) + tf.reduce_sum(
            tf.square(weights[:, -self._parts[0] - 1 :]), axis=-1
        )
        return predicted, tf.math.divide_no_nan(tf.reduce_sum(used), tf.cast(tf.size(used), tf.float32))

    def _known_rows(self, row: tf.Tensor) -> tf.Tensor:
        """The learned weights; of an other without ratings nothing was learned, so they are 0."""
        known = tf.cast(tf.gather(self.counts, row) > 0, tf.float32)
        return tf.gather(self.others, row) * known[:, tf.newaxis]

    def _mean(self, row: tf.Tensor) -> tf.Tensor:
        return self.overall_mean + tf.gather(self.totals, row) / (
            tf.gather(self.counts, row) + self._mean_prior
        )

    def _entries(self, other_index: tf.Tensor, rating: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """What each rating adds: to the vector, to the deviation, to the length; and the weights it used."""
        row = other_index + 1
        weights = self._known_rows(row)
        taste, presence, _, _ = tf.split(weights, self._parts, axis=-1)
        known = tf.cast(tf.gather(self.counts, row) > 0, tf.float32)[:, tf.newaxis]
        deviation = (rating - self._mean(row))[:, tf.newaxis] * known
        return tf.concat([deviation * taste + presence, deviation, known], axis=-1), weights

    def _state(self, sums: tf.Tensor) -> tf.Tensor:
        vector, deviation, length = tf.split(sums, [self._parts[0], 1, 1], axis=-1)
        scaled = vector / tf.sqrt(tf.maximum(length, 1.0))
        above = deviation / (length + tf.nn.softplus(self.shrinkage))
        return tf.concat([tf.tanh(scaled + self.offset), above], axis=-1)

    def _rate(self, state: tf.Tensor, mean: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        _, _, factor, bias = tf.split(weights, self._parts, axis=-1)
        vector, above = state[:, :-1], state[:, -1]
        return mean + above + bias[:, 0] + tf.reduce_sum(vector * factor, axis=-1)
