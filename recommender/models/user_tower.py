"""The user tower: from what a user has rated, who they are, or both, to their vector."""

from typing import Any

import tensorflow as tf

from recommender.features.transformed_examples import TransformedExamples
from recommender.models.configuration import TwoTowerConfig, UserTowerConfig, embedding_width
from recommender.models.dense_part import DensePart, standardize
from recommender.models.movie_tower import MovieTower


class UserTower(tf.keras.Model):
    """Maps users to vectors.

    The history part is the sum of the length-1 vectors of the rated movies, each weighted by 1 or by its
    rating; the sum's own length carries no meaning, since parts are normalised before they meet.

    Args:
        config: Hyperparameters of both towers.
        examples: Gives the numbers of users and movies and the scale of the numeric features.
        movie_tower: Lends its id embedding where `share_movie_embedding` is set.
        random: Draws what is hidden of histories, and what dropout does.
    """

    def __init__(
        self,
        config: TwoTowerConfig,
        examples: TransformedExamples,
        movie_tower: MovieTower,
        random: tf.random.Generator,
    ) -> None:
        super().__init__(name="user_tower", autocast=False)
        self.config: UserTowerConfig = config.user_tower
        self._random = random
        width = embedding_width(self.config, config.dimension)
        initializer = tf.keras.initializers.RandomNormal
        if self.config.use_id:
            # Row 0 is for users that training does not know.
            self.embedding = tf.keras.layers.Embedding(
                examples.n_users + 1, width, initializer(), name="user_embedding"
            )
        if self.config.use_history:
            if self.config.share_movie_embedding:
                self.history_embedding = movie_tower.embedding
            else:
                self.history_embedding = tf.keras.layers.Embedding(
                    examples.n_movies + 1, width, initializer(), name="history_embedding"
                )
        if self.config.use_features:
            self.numbers = standardize(examples.user_numbers, "user_numbers")
            features_width = self.config.features_dimension if self.config.hidden else config.dimension
            self.features = tf.keras.layers.Dense(features_width, activation="relu", name="user_features")
        self.dense_part = DensePart(self.config, config, random)

    def call(self, inputs: dict[str, Any], training: bool = False) -> tf.Tensor:
        """Compute the vectors of some users.

        Args:
            inputs: `user_index` int32 [batch], -1 for a user that training does not know; `history` int32
                ragged [batch, None], movie positions, -1 for an unknown movie; `history_rating` float32
                ragged [batch, None]; `user_numbers` float32 [batch, 6]; `user_genres` float32
                [batch, genres].
            training: Whether part of the history is hidden, dropout and batch statistics apply.

        Returns:
            float32 [batch, dimension], of length 1 where `normalize` is set; 0 for a user of whom
            nothing is known.
        """
        parts = []
        if self.config.use_id:
            # Row 0 is never trained: an unknown user's id says nothing.
            ids = self.embedding(inputs["user_index"] + 1)
            parts.append(ids * tf.cast(inputs["user_index"] >= 0, ids.dtype)[:, tf.newaxis])
        if self.config.use_history:
            parts.append(self._history(inputs["history"], inputs["history_rating"], training))
        if self.config.use_features:
            numbers = self.numbers(inputs["user_numbers"])
            parts.append(self.features(tf.concat([numbers, inputs["user_genres"]], axis=-1)))
        return self.dense_part(parts, training=training)

    def _history(self, movie_index: tf.RaggedTensor, rating: tf.RaggedTensor, training: bool) -> tf.Tensor:
        positions = movie_index.values
        weight = tf.cast(positions >= 0, tf.float32)
        if self.config.history_weights == "rating":
            weight *= rating.values
        if training and self.config.history_dropout:
            shown = self._random.uniform(tf.shape(weight)) >= self.config.history_dropout
            weight *= tf.cast(shown, tf.float32)
        vectors = tf.math.l2_normalize(tf.cast(self.history_embedding(positions + 1), tf.float32), axis=-1)
        return tf.math.unsorted_segment_sum(
            vectors * weight[:, tf.newaxis], movie_index.value_rowids(), movie_index.nrows()
        )
