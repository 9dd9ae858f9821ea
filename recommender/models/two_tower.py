"""The two-tower retrieval model: a user tower, a movie tower and the task that brings them together."""

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_recommenders as tfrs

from recommender.features.transformed_examples import History, TransformedExamples
from recommender.models.configuration import TwoTowerConfig
from recommender.models.full_softmax import FullSoftmax
from recommender.models.movie_tower import MovieTower
from recommender.models.user_tower import UserTower


class TwoTowerModel(tfrs.Model):
    """Retrieval with two towers.

    Args:
        config: Hyperparameters.
        examples: The catalogue's and the users' features.
        movie_counts: int64 [movies], ratings of each movie in training: the chance of a movie to be in a
            batch, which the in-batch softmax corrects for.
    """

    def __init__(
        self, config: TwoTowerConfig, examples: TransformedExamples, movie_counts: npt.NDArray[np.int64]
    ) -> None:
        super().__init__(name="two_tower")
        self.config = config
        self.movie_tower = MovieTower(config, examples)
        self.user_tower = UserTower(config, examples, self.movie_tower)
        self._movie_inputs = {
            "movie_index": tf.range(examples.n_movies),
            "movie_numbers": tf.constant(examples.movie_numbers),
            "movie_genres": tf.constant(examples.movie_genres),
        }
        self._user_numbers = tf.constant(examples.user_numbers)
        self._user_genres = tf.constant(examples.user_genres)
        self._sampling_probability = tf.constant(movie_counts / movie_counts.sum(), tf.float32)
        if config.loss == "full_softmax":
            self.task: tf.keras.layers.Layer = FullSoftmax(config.temperature)
        else:
            self.task = tfrs.tasks.Retrieval(
                # The mean, so that the learning rate does not depend on the batch size.
                loss=tf.keras.losses.CategoricalCrossentropy(
                    from_logits=True, reduction=tf.keras.losses.Reduction.SUM_OVER_BATCH_SIZE
                ),
                temperature=config.temperature,
                remove_accidental_hits=True,
            )

    def compute_loss(self, inputs: dict[str, Any], training: bool = False) -> tf.Tensor:
        """The loss of one batch.

        Args:
            inputs: A batch of `user_batches` for the full softmax, of `rating_batches` for the
                in-batch softmax.
            training: Whether dropout and batch statistics apply.

        Returns:
            A scalar.
        """
        user_vectors = self.user_tower(self._with_features(inputs), training=training)
        if self.config.loss == "full_softmax":
            movie_vectors = self.movie_tower(self._movie_inputs, training=training)
            return self.task(user_vectors, movie_vectors, inputs["history"])
        movie_index = inputs["movie_index"]
        movies = {name: tf.gather(values, movie_index) for name, values in self._movie_inputs.items()}
        return self.task(
            user_vectors,
            self.movie_tower(movies, training=training),
            candidate_sampling_probability=tf.gather(self._sampling_probability, movie_index),
            candidate_ids=movie_index,
            compute_metrics=False,
        )

    def _with_features(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {
            **inputs,
            "user_numbers": tf.gather(self._user_numbers, inputs["user_index"]),
            "user_genres": tf.gather(self._user_genres, inputs["user_index"]),
        }

    def movie_vectors(self) -> npt.NDArray[np.float32]:
        """The vectors of the whole catalogue, float32 [movies, dimension]."""
        vectors: npt.NDArray[np.float32] = self.movie_tower(self._movie_inputs).numpy()
        return vectors

    def user_vectors(self, history: History, batch_size: int = 1024) -> npt.NDArray[np.float32]:
        """The vectors of all users, given what they have rated.

        Args:
            history: One row a user.
            batch_size: Users computed at a time, which bounds the memory.

        Returns:
            float32 [users, dimension].
        """
        batches = []
        for start in range(0, history.n_users, batch_size):
            rows = history.rows(start, min(start + batch_size, history.n_users))
            inputs = {
                "user_index": tf.range(start, start + rows.n_users),
                "history": tf.RaggedTensor.from_row_splits(rows.movie_index, rows.row_splits),
                "history_rating": tf.RaggedTensor.from_row_splits(rows.rating, rows.row_splits),
            }
            batches.append(self.user_tower(self._with_features(inputs)).numpy())
        return np.concatenate(batches)
