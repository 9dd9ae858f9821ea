"""The rating that a user's and a movie's vector stand for, learned together with the towers."""

from typing import Any

import tensorflow as tf

from recommender.models.configuration import TwoTowerConfig


class TowerRating(tf.keras.layers.Layer):
    """Predicts ratings from both towers' vectors.

    Without `rating_hidden`, the cosine of both vectors is stretched from [-1, 1] to the rating scale::

        rating = min + (max - min) * (cos(x_u, y_m) + 1) / 2

    With it, dense ReLU layers over both vectors and their product, and a sigmoid in place of
    `(cos + 1) / 2`: how a movie will be rated may then differ from how likely it is to be watched, which the
    cosine alone cannot tell apart.

    Args:
        config: Hyperparameters of both towers.
    """

    def __init__(self, config: TwoTowerConfig) -> None:
        super().__init__(name="tower_rating", autocast=False)
        self._min = config.rating_scale.min
        self._range = config.rating_scale.max - config.rating_scale.min
        widths = config.rating_hidden
        self._layers = [tf.keras.layers.Dense(width, activation="relu") for width in widths]
        if widths:
            self._layers.append(tf.keras.layers.Dense(1))

    def call(self, inputs: dict[str, Any]) -> tf.Tensor:
        """Predict ratings.

        Args:
            inputs: `user_vector` and `movie_vector` float32 [pairs, dimension], of any length. Other entries
                are passed over.

        Returns:
            float32 [pairs], in stars.
        """
        users, movies = inputs["user_vector"], inputs["movie_vector"]
        if self._layers:
            value = tf.concat([users, movies, users * movies], axis=-1)
            for layer in self._layers:
                value = layer(value)
            share = tf.sigmoid(tf.cast(tf.squeeze(value, axis=-1), tf.float32))
        else:
            users, movies = tf.math.l2_normalize(users, axis=-1), tf.math.l2_normalize(movies, axis=-1)
            share = (tf.reduce_sum(users * movies, axis=-1) + 1.0) / 2.0
        return self._min + self._range * share
