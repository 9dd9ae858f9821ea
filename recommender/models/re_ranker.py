"""The re-ranker: in which order would this user watch these movies?"""

from collections.abc import Sequence
from typing import Any, Final

import tensorflow as tf
import tensorflow_recommenders as tfrs

from recommender.models.re_ranker_configuration import HISTORY_LENGTH, RETRIEVAL_SCORE, ReRankerConfig

_TYPICAL_LOG_LENGTH: Final = 4.0
"""Of some fifty ratings."""
_SMALLEST_DEVIATION: Final = 1e-6


class ListwiseSoftmax(tf.keras.losses.Loss):
    """The softmax cross entropy of each list, over its relevant movies alike.

    ``-sum(y * log_softmax(s)) / sum(y)`` for labels `y` and scores `s` of one list (Cao et al., "Learning to
    Rank: From Pairwise Approach to Listwise Approach", ICML 2007; that it bounds NDCG for binary labels:
    Bruch et al., "An Analysis of the Softmax Cross Entropy Loss", ICTIR 2019). A list without a relevant
    movie counts 0; a score of -inf is an empty place.
    """

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """The loss of each list.

        Args:
            y_true: float32 [lists, candidates], 1 for a relevant movie, else 0.
            y_pred: float32 [lists, candidates], scores.

        Returns:
            float32 [lists].
        """
        log_share = tf.where(y_true > 0, tf.nn.log_softmax(y_pred, axis=1), 0.0)
        return -tf.math.divide_no_nan(
            tf.reduce_sum(y_true * log_share, axis=1), tf.reduce_sum(y_true, axis=1)
        )


class ReRanker(tfrs.Model):
    """Orders the candidates of a user anew.

    ``score = w . z + mlp([z, length])``, where `z` are the features, each brought to mean 0 and standard
    deviation 1 over the user's own candidates. So scores carry over from the towers it was trained on to
    towers fitted anew on more ratings. Training starts from the plain sum of the retrieval score and the
    evidence, and the network from 0: with little to learn from, the sum is hard to beat.

    Args:
        config: Hyperparameters.
        features: Names of the features that differ between a user's candidates.
        summed: Those of them that the score starts from, all alike.
    """

    def __init__(self, config: ReRankerConfig, features: Sequence[str], summed: Sequence[str]) -> None:
        super().__init__(name="re_ranker")
        self.features = tuple(features)
        start = [1.0 / len(summed) if name in summed else 0.0 for name in self.features]
        self.feature_weights = self.add_weight(
            name="feature_weights",
            shape=[len(start)],
            initializer=tf.keras.initializers.Constant(start),
        )
        penalty = tf.keras.regularizers.L2(config.l2)
        self._layers: list[tf.keras.layers.Layer] = []
        if config.hidden:
            self._layers = [
                tf.keras.layers.Dense(config.hidden, activation="relu"),
                tf.keras.layers.Dense(
                    1, use_bias=False, kernel_initializer="zeros", kernel_regularizer=penalty
                ),
            ]
        self.task = tfrs.tasks.Ranking(loss=ListwiseSoftmax())

    def call(self, inputs: dict[str, Any], training: bool = False) -> tf.Tensor:
        """Score candidates.

        Args:
            inputs: Each feature as float32 [lists, candidates], with `retrieval_score` -inf in an empty
                place; `history_length` float32 [lists, 1].
            training: Makes no difference.

        Returns:
            float32 [lists, candidates], larger first; -inf in an empty place.
        """
        filled = inputs[RETRIEVAL_SCORE] > -float("inf")
        places = tf.cast(filled, tf.float32)
        standardized = tf.stack([_standardized(inputs[name], places) for name in self.features], axis=-1)
        score = tf.linalg.matvec(standardized, self.feature_weights)
        if self._layers:
            length = tf.math.log(1.0 + inputs[HISTORY_LENGTH]) - _TYPICAL_LOG_LENGTH
            value = tf.concat([standardized, tf.expand_dims(places * length, axis=-1)], axis=-1)
            for layer in self._layers:
                value = layer(value)
            score += tf.squeeze(value, axis=-1)
        return tf.where(filled, score, -float("inf"))

    def compute_loss(self, inputs: dict[str, Any], training: bool = False) -> tf.Tensor:
        """The mean loss of the lists of one batch.

        Args:
            inputs: As `call` takes them, with the labels as `relevant` float32 [lists, candidates].
            training: Makes no difference.

        Returns:
            A scalar.
        """
        scores = self(inputs, training=training)
        return self.task(labels=inputs["relevant"], predictions=scores)


def _standardized(values: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """Bring each list to mean 0 and standard deviation 1 over its filled places; 0 in the empty ones."""
    count = tf.maximum(tf.reduce_sum(places, axis=1, keepdims=True), 1.0)
    values = tf.where(places > 0, values, 0.0)
    mean = tf.reduce_sum(values, axis=1, keepdims=True) / count
    centred = (values - mean) * places
    variance = tf.reduce_sum(centred**2, axis=1, keepdims=True) / count
    # Where all are equal nothing is told apart.
    return centred / tf.maximum(tf.sqrt(variance), _SMALLEST_DEVIATION)
