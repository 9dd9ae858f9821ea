"""The re-ranker: in which order would this user watch these movies?"""

from collections.abc import Mapping, Sequence
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
    towers fitted anew on more ratings. Training starts from the sum of the retrieval score and the
    evidence, each by its weight, and the network from 0: with little to learn from, the sum is hard to beat.

    Args:
        config: Hyperparameters.
        features: Names of the features that differ between a user's candidates.
        start: The weights that training starts from; 0 for a feature that is not named.
    """

    def __init__(self, config: ReRankerConfig, features: Sequence[str], start: Mapping[str, float]) -> None:
        super().__init__(name="re_ranker")
        self.features = tuple(features)
        self.feature_weights = self.add_weight(
            name="feature_weights",
            shape=[len(self.features)],
            initializer=tf.keras.initializers.Constant([start.get(name, 0.0) for name in self.features]),
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
        places = _places(inputs)
        standardized = self._standardized(inputs, places)
        score = tf.linalg.matvec(standardized, self.feature_weights)
        if self._layers:
            value = _with_length(standardized, inputs, places)
            for layer in self._layers:
                value = layer(value)
            score += tf.squeeze(value, axis=-1)
        return tf.where(places > 0, score, -float("inf"))

    def weights_of_features(self, inputs: dict[str, Any]) -> tf.Tensor:
        """How much each feature counts for each candidate: the change of the score with the feature.

        A score is linear around each candidate, as the network is made of ReLUs. So with a feature's weight
        `w`, value `x` and mean `m` over the user's candidates, ``w (x - m)`` is what the feature adds to the
        score, exactly; what these do not add up to is the network's own, of its biases and the length of the
        history.

        Args:
            inputs: As for `call`.

        Returns:
            float32 [lists, candidates, features], in the features' own units.
        """
        places = _places(inputs)
        standardized = self._standardized(inputs, places)
        weights = tf.zeros_like(standardized) + self.feature_weights
        if self._layers:
            hidden, out = self._layers
            is_active = tf.cast(hidden(_with_length(standardized, inputs, places)) > 0, tf.float32)
            # The last row of the kernel is that of the history's length.
            of_features = tf.transpose(hidden.kernel[:-1])
            weights += tf.linalg.matmul(is_active * out.kernel[:, 0], of_features)
        deviations = [_centred(inputs[name], places)[1] for name in self.features]
        return weights / tf.stack(deviations, axis=-1)

    def _standardized(self, inputs: dict[str, Any], places: tf.Tensor) -> tf.Tensor:
        """The features, each brought to mean 0 and standard deviation 1; 0 in empty places."""
        parts = (_centred(inputs[name], places) for name in self.features)
        return tf.stack([centred / deviation for centred, deviation in parts], axis=-1)

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


def _places(inputs: dict[str, Any]) -> tf.Tensor:
    """1 where there is a candidate, 0 in an empty place, float32 [lists, candidates]."""
    return tf.cast(inputs[RETRIEVAL_SCORE] > -float("inf"), tf.float32)


def _with_length(standardized: tf.Tensor, inputs: dict[str, Any], places: tf.Tensor) -> tf.Tensor:
    length = tf.math.log(1.0 + inputs[HISTORY_LENGTH]) - _TYPICAL_LOG_LENGTH
    return tf.concat([standardized, tf.expand_dims(places * length, axis=-1)], axis=-1)


def _centred(values: tf.Tensor, places: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Each list less its mean over its filled places, 0 in the empty ones; and its standard deviation."""
    count = tf.maximum(tf.reduce_sum(places, axis=1, keepdims=True), 1.0)
    values = tf.where(places > 0, values, 0.0)
    mean = tf.reduce_sum(values, axis=1, keepdims=True) / count
    centred = (values - mean) * places
    variance = tf.reduce_sum(centred**2, axis=1, keepdims=True) / count
    # Where all are equal nothing is told apart.
    return centred, tf.maximum(tf.sqrt(variance), _SMALLEST_DEVIATION)
