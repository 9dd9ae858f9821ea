"""How a tower turns its parts (embeddings, features) into one vector."""

from typing import Final

import tensorflow as tf

from recommender.models.configuration import TowerConfig, TwoTowerConfig

_SHORTEST_SQUARED: Final = 1e-12
"""Of `l2_normalize`: shorter vectors stay short."""


class DensePart(tf.keras.layers.Layer):
    """Brings a tower's parts to one vector.

    With `hidden`, the parts are concatenated and go through dense ReLU layers, each followed by batch
    normalisation and dropout, and a last linear one. Without, the parts are brought to length 1 and summed:
    the towers then stay additive, which trains faster and explains itself.

    Args:
        tower: The tower's own hyperparameters.
        config: Those of both towers.
        random: Draws what dropout hides.
    """

    def __init__(self, tower: TowerConfig, config: TwoTowerConfig, random: tf.random.Generator) -> None:
        super().__init__(name="dense_part", autocast=False)
        self._normalize = config.normalize
        self._layers: list[tf.keras.layers.Layer] = []
        for width in tower.hidden:
            self._layers.append(tf.keras.layers.Dense(width, activation="relu"))
            if tower.batch_norm:
                self._layers.append(tf.keras.layers.BatchNormalization())
            if tower.dropout:
                self._layers.append(_Dropout(tower.dropout, random))
        if tower.hidden:
            self._layers.append(tf.keras.layers.Dense(config.dimension))

    def call(self, parts: list[tf.Tensor], training: bool = False) -> tf.Tensor:
        """Combine the parts.

        Args:
            parts: float32 [batch, width] each; one width where there are no hidden layers.
            training: Whether dropout and batch statistics apply.

        Returns:
            float32 [batch, dimension].
        """
        # Lengths overflow half precision, so only the layers between compute in it.
        parts = [tf.cast(part, tf.float32) for part in parts]
        if self._layers:
            vector = tf.concat(parts, axis=-1)
            for layer in self._layers:
                vector = layer(vector, training=training)
            vector = tf.cast(vector, tf.float32)
        else:
            vector = _sum_of_lengths_1(parts)
        return tf.math.l2_normalize(vector, axis=-1) if self._normalize else vector

    def scale_of(self, parts: list[tf.Tensor]) -> tf.Tensor:
        """What the sum of the parts is multiplied by, where there are no hidden layers.

        Args:
            parts: As for `call`.

        Returns:
            float32 [batch, 1].
        """
        summed = _sum_of_lengths_1(parts)
        return shrunk_by(summed) if self._normalize else tf.ones_like(summed[:, :1])


class _Dropout(tf.keras.layers.Layer):
    """Dropout whose random state is in the model's checkpoints, as that of Keras's own layer is not."""

    def __init__(self, rate: float, random: tf.random.Generator) -> None:
        super().__init__()
        self._rate, self._random = rate, random

    def call(self, values: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training:
            return values
        return tf.nn.experimental.general_dropout(values, self._rate, self._random.uniform)


def shrunk_by(vectors: tf.Tensor) -> tf.Tensor:
    """What `l2_normalize` multiplies vectors by, float32 [batch, 1]."""
    squared = tf.reduce_sum(tf.square(vectors), axis=-1, keepdims=True)
    return tf.math.rsqrt(tf.maximum(squared, _SHORTEST_SQUARED))


def _sum_of_lengths_1(parts: list[tf.Tensor]) -> tf.Tensor:
    return tf.add_n([tf.math.l2_normalize(part, axis=-1) for part in parts])


def standardize(values: tf.Tensor, name: str) -> tf.keras.layers.Normalization:
    """A layer that brings features to mean 0 and variance 1, by the training part's own numbers."""
    mean, variance = tf.nn.moments(tf.constant(values), axes=[0])
    # Counts of ratings overflow half precision.
    return tf.keras.layers.Normalization(
        mean=mean.numpy(), variance=variance.numpy(), name=name, dtype="float32"
    )
