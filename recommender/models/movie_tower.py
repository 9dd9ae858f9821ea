"""The movie tower: from a movie's id and features to its vector."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from recommender.features.transformed_examples import MOVIE_NUMBERS, TransformedExamples
from recommender.models.configuration import MovieTowerConfig, TwoTowerConfig, embedding_width
from recommender.models.dense_part import DensePart, standardize

_YEAR: Final = MOVIE_NUMBERS.index("release_year")
_DECADE: Final = 10.0


class MovieTower(tf.keras.Model):
    """Maps movies to vectors.

    The id of a movie without training ratings says nothing, and neither does that of an unknown movie: its
    vector is what its features make of it, or what `new_movies` expects of it, 0 without both.

    Args:
        config: Hyperparameters of both towers.
        examples: Gives the number of movies and the scale of the numeric features.
        movie_counts: int64 [movies], ratings of each movie in training.
        random: Draws which movies `id_dropout` hides, and what dropout does.
    """

    def __init__(
        self,
        config: TwoTowerConfig,
        examples: TransformedExamples,
        movie_counts: npt.NDArray[np.int64],
        random: tf.random.Generator,
    ) -> None:
        super().__init__(name="movie_tower", autocast=False)
        self.config: MovieTowerConfig = config.movie_tower
        self._random = random
        width = embedding_width(self.config, config.dimension)
        # Row 0 is for movies that training does not know, here and below.
        self._is_rated = tf.constant(np.concatenate([[False], movie_counts > 0]))
        if self.config.use_id:
            self.embedding = tf.keras.layers.Embedding(
                examples.n_movies + 1, width, tf.keras.initializers.RandomNormal(), name="movie_embedding"
            )
        if self.config.use_features:
            self._of_ratings = tf.constant([name != "release_year" for name in MOVIE_NUMBERS])
            self._unrated_numbers = tf.constant(_unrated_numbers(examples))
            self.numbers = standardize(examples.movie_numbers, "movie_numbers")
            features_width = self.config.features_dimension if self.config.hidden else config.dimension
            self.features = tf.keras.layers.Dense(features_width, activation="relu", name="movie_features")
        self.dense_part = DensePart(self.config, config, random)
        if self.config.new_movies is not None:
            self._years = tf.constant(_years_apart(examples))
            self.of_new = self.add_weight(
                name="of_new",
                shape=[examples.movie_genres.shape[1] + len(self._years) + 1, config.dimension],
                initializer="zeros",
                trainable=False,
            )
        width = config.output_dimension - config.dimension
        if width:
            self.computed = self.add_weight(
                name="computed", shape=[examples.n_movies + 1, width], initializer="zeros", trainable=False
            )

    def call(self, inputs: dict[str, Any], training: bool = False) -> tf.Tensor:
        """Compute the vectors of some movies.

        Args:
            inputs: `movie_index` int32 [batch], -1 for a movie that training does not know;
                `movie_numbers` float32 [batch, 6]; `movie_genres` float32 [batch, genres].
            training: Whether some movies are seen as unrated, dropout and batch statistics apply.

        Returns:
            float32 [batch, output dimension]: what is learned, then what `ClosedForm` has computed.
        """
        learned = self.learned(inputs, training)
        if hasattr(self, "of_new"):
            is_rated = tf.gather(self._is_rated, inputs["movie_index"] + 1)
            expected = tf.linalg.matmul(self.described(inputs), self.of_new)
            learned = tf.where(is_rated[:, tf.newaxis], learned, expected)
        if not hasattr(self, "computed"):
            return learned
        return tf.concat([learned, tf.gather(self.computed, inputs["movie_index"] + 1)], axis=-1)

    def described(self, inputs: dict[str, Any]) -> tf.Tensor:
        """What is known of some movies before anybody has rated them.

        Args:
            inputs: As for `call`.

        Returns:
            float32 [batch, genres + decades + 1]: the genres, how near the year is to the beginning of each
            decade, in tenths of it, and 1.
        """
        year = inputs["movie_numbers"][:, _YEAR, tf.newaxis]
        near = tf.nn.relu(1.0 - tf.abs(year - self._years) / _DECADE)
        return tf.concat([inputs["movie_genres"], near, tf.ones_like(year)], axis=-1)

    def learned(self, inputs: dict[str, Any], training: bool = False) -> tf.Tensor:
        """What training changes of the vectors of some movies.

        Args:
            inputs: As for `call`.
            training: As for `call`.

        Returns:
            float32 [batch, dimension], of length 1 where `normalize` is set; 0 for a movie of which nothing
            is known.
        """
        movie_index, numbers = inputs["movie_index"], inputs["movie_numbers"]
        as_unrated = tf.zeros_like(movie_index, tf.bool)
        if training and self.config.id_dropout:
            as_unrated = self._random.uniform(tf.shape(movie_index)) < self.config.id_dropout
        parts = []
        if self.config.use_id:
            has_id = tf.gather(self._is_rated, movie_index + 1) & ~as_unrated
            ids = self.embedding(movie_index + 1)
            parts.append(ids * tf.cast(has_id, ids.dtype)[:, tf.newaxis])
        if self.config.use_features:
            replaced = as_unrated[:, tf.newaxis] & self._of_ratings
            numbers = self.numbers(tf.where(replaced, self._unrated_numbers, numbers))
            parts.append(self.features(tf.concat([numbers, inputs["movie_genres"]], axis=-1)))
        return self.dense_part(parts, training=training)


def _years_apart(examples: TransformedExamples) -> npt.NDArray[np.float32]:
    """The beginnings of the decades from the oldest movie to the newest, float32 [decades]."""
    years = examples.movie_numbers[:, _YEAR]
    first, last = np.floor(years.min() / _DECADE), np.ceil(years.max() / _DECADE)
    return (np.arange(first, last + 1) * _DECADE).astype(np.float32)


def _unrated_numbers(examples: TransformedExamples) -> npt.NDArray[np.float32]:
    """The numeric features of a movie without ratings, float32 [6]: all 0 but the mean of all ratings."""
    counts, means = (
        examples.movie_numbers[:, MOVIE_NUMBERS.index(name)] for name in ("rating_count", "avg_rating")
    )
    numbers = np.zeros(len(MOVIE_NUMBERS), np.float32)
    numbers[MOVIE_NUMBERS.index("avg_rating")] = np.average(means, weights=counts)
    return numbers
