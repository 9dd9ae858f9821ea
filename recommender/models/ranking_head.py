"""The ranking head: which rating would this user give this movie?"""

from typing import Any

import tensorflow as tf
import tensorflow_recommenders as tfrs

from recommender.models.configuration import RankingHeadConfig


class RankingHead(tfrs.Model):
    """Predicts ratings from the towers' vectors.

    ``rating = mean + b_u + b_m + mlp([x_u, y_m, x_u * y_m])``: the biases of Koren, Bell and Volinsky,
    "Matrix Factorization Techniques for Recommender Systems" (2009), eq. 4, and a small network over the
    vectors of both towers. The towers are not trained further.

    Args:
        config: Hyperparameters.
        n_users: Users that training knows.
        n_movies: Movies of the catalogue.
        mean_rating: Of the training part, in stars.
    """

    def __init__(self, config: RankingHeadConfig, n_users: int, n_movies: int, mean_rating: float) -> None:
        super().__init__(name="ranking_head")
        self._mean_rating = tf.constant(mean_rating, tf.float32)
        penalty = tf.keras.regularizers.L2(config.bias_l2)
        self.user_bias = tf.keras.layers.Embedding(
            n_users + 1, 1, "zeros", activity_regularizer=penalty, name="user_bias"
        )
        self.movie_bias = tf.keras.layers.Embedding(
            n_movies + 1, 1, "zeros", activity_regularizer=penalty, name="movie_bias"
        )
        self._layers: list[tf.keras.layers.Layer] = []
        for width in config.hidden:
            self._layers.append(tf.keras.layers.Dense(width, activation="relu"))
            if config.dropout:
                self._layers.append(tf.keras.layers.Dropout(config.dropout))
        self._layers.append(tf.keras.layers.Dense(1))
        self.task = tfrs.tasks.Ranking(
            loss=tf.keras.losses.MeanSquaredError(),
            metrics=[tf.keras.metrics.RootMeanSquaredError(name="rmse")],
        )

    def call(self, inputs: dict[str, Any], training: bool = False) -> tf.Tensor:
        """Predict ratings.

        Args:
            inputs: `user_index` and `movie_index` int32 [batch], -1 where training does not know them;
                `user_vector` and `movie_vector` float32 [batch, dimension].
            training: Whether dropout applies.

        Returns:
            float32 [batch], in stars.
        """
        user_vector, movie_vector = inputs["user_vector"], inputs["movie_vector"]
        value = tf.concat([user_vector, movie_vector, user_vector * movie_vector], axis=-1)
        for layer in self._layers:
            value = layer(value, training=training)
        value += self.user_bias(inputs["user_index"] + 1) + self.movie_bias(inputs["movie_index"] + 1)
        return self._mean_rating + tf.squeeze(value, axis=-1)

    def compute_loss(self, inputs: dict[str, Any], training: bool = False) -> tf.Tensor:
        """The mean squared error of one batch.

        Args:
            inputs: As `call` takes them, with the labels as `rating` float32 [batch].
            training: Whether dropout applies.

        Returns:
            A scalar, in stars squared.
        """
        predicted = self(inputs, training=training)
        return self.task(labels=inputs["rating"], predictions=predicted)
