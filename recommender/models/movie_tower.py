"""The movie tower: from a movie's id and features to its vector."""

from typing import Any

import tensorflow as tf

from recommender.features.transformed_examples import TransformedExamples
from recommender.models.configuration import MovieTowerConfig, TwoTowerConfig, embedding_width
from recommender.models.dense_part import DensePart, standardize


class MovieTower(tf.keras.Model):
    """Maps movies to vectors.

    Args:
        config: Hyperparameters of both towers.
        examples: Gives the number of movies and the scale of the numeric features.
    """

    def __init__(self, config: TwoTowerConfig, examples: TransformedExamples) -> None:
        super().__init__(name="movie_tower")
        self.config: MovieTowerConfig = config.movie_tower
        width = embedding_width(self.config, config.dimension)
        if self.config.use_id:
            # Row 0 is for movies that training does not know.
            self.embedding = tf.keras.layers.Embedding(
                examples.n_movies + 1, width, tf.keras.initializers.RandomNormal(), name="movie_embedding"
            )
        if self.config.use_features:
            self.numbers = standardize(examples.movie_numbers, "movie_numbers")
            features_width = self.config.features_dimension if self.config.hidden else config.dimension
            self.features = tf.keras.layers.Dense(features_width, activation="relu", name="movie_features")
        self.dense_part = DensePart(self.config, config)

    def call(self, inputs: dict[str, Any], training: bool = False) -> tf.Tensor:
        """Compute the vectors of some movies.

        Args:
            inputs: `movie_index` int32 [batch], -1 for a movie that training does not know;
                `movie_numbers` float32 [batch, 6]; `movie_genres` float32 [batch, genres].
            training: Whether dropout and batch statistics apply.

        Returns:
            float32 [batch, dimension], of length 1 where `normalize` is set.
        """
        parts = []
        if self.config.use_id:
            # Row 0 is never trained: an unknown movie's id says nothing.
            known = tf.cast(inputs["movie_index"] >= 0, tf.float32)
            parts.append(self.embedding(inputs["movie_index"] + 1) * known[:, tf.newaxis])
        if self.config.use_features:
            numbers = self.numbers(inputs["movie_numbers"])
            parts.append(self.features(tf.concat([numbers, inputs["movie_genres"]], axis=-1)))
        return self.dense_part(parts, training=training)
