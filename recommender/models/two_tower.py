"""The two-tower retrieval model: a user tower, a movie tower and the task that brings them together."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_recommenders as tfrs

from recommender.features.transformed_examples import History, TransformedExamples
from recommender.models.configuration import TwoTowerConfig
from recommender.models.losses.bpr import Bpr
from recommender.models.losses.full_softmax import FullSoftmax
from recommender.models.losses.rating_error import RatingError
from recommender.models.losses.reconstruction import Reconstruction
from recommender.models.losses.sampled_softmax import SampledSoftmax
from recommender.models.movie_tower import MovieTower
from recommender.models.tower_rating import TowerRating
from recommender.models.user_tower import UserTower


class TwoTowerModel(tfrs.Model):
    """Retrieval with two towers, and with `rating_weight` rating prediction by the same towers.

    What is minimised is ``(1 - rating_weight) * loss + rating_weight * squared error of ratings``.

    Args:
        config: Hyperparameters.
        examples: The catalogue's and the users' features.
        movie_counts: int64 [movies], ratings of each movie in training: which ids mean anything, and the
            chance of a movie to be in a batch, which sampled losses correct for.
        seed: Of dropout and of the movies that losses draw. Their state is part of the model's checkpoints,
            so that training goes on after a stop as if there had been none.
    """

    def __init__(
        self,
        config: TwoTowerConfig,
        examples: TransformedExamples,
        movie_counts: npt.NDArray[np.int64],
        seed: int = 0,
    ) -> None:
        super().__init__(name="two_tower")
        self.config = config
        self.random = tf.random.Generator.from_seed(seed)
        self.movie_tower = MovieTower(config, examples, movie_counts, self.random)
        self.user_tower = UserTower(config, examples, self.movie_tower, self.random)
        self.movie_inputs = {
            "movie_index": tf.range(examples.n_movies),
            "movie_numbers": tf.constant(examples.movie_numbers),
            "movie_genres": tf.constant(examples.movie_genres),
        }
        self._user_numbers = tf.constant(examples.user_numbers)
        self._user_genres = tf.constant(examples.user_genres)
        self.task = _retrieval_task(config, movie_counts)
        self.rating = TowerRating(config)
        self.rating_task = RatingError()

    @property
    def reads(self) -> Literal["users", "ratings"]:
        """What the loss wants in a batch: users with their whole history, or single ratings."""
        return "users" if self.config.loss in ("full_softmax", "reconstruction") else "ratings"

    def compute_loss(self, inputs: dict[str, Any], training: bool = False) -> tf.Tensor:
        """The loss of one batch.

        Args:
            inputs: A batch of `user_batches` or of `rating_batches`, by what the model `reads`.
            training: Whether dropout and batch statistics apply.

        Returns:
            A scalar.
        """
        user_vectors = self.user_tower.learned(self._with_features(inputs), training)
        of_batch = self._loss_of_users if self.reads == "users" else self._loss_of_ratings
        return of_batch(inputs, user_vectors, training)

    def _loss_of_users(self, inputs: dict[str, Any], user_vectors: tf.Tensor, training: bool) -> tf.Tensor:
        history, rating = inputs["history"], inputs["history_rating"]
        movie_vectors = self.movie_tower.learned(self.movie_inputs, training)
        loss, weight = 0.0, self.config.rating_weight
        if weight < 1:
            arguments = [user_vectors, movie_vectors, history]
            if self.config.loss == "reconstruction" and self.config.user_tower.history_weights == "rating":
                arguments.append(rating)
            loss += (1 - weight) * self.task(*arguments)
        if weight:
            users = tf.gather(user_vectors, history.value_rowids())
            movies = tf.gather(movie_vectors, history.values)
            predicted = self.rating({"user_vector": users, "movie_vector": movies})
            loss += weight * self.rating_task(rating.values, predicted)
        return loss

    def _loss_of_ratings(self, inputs: dict[str, Any], user_vectors: tf.Tensor, training: bool) -> tf.Tensor:
        movie_index = inputs["movie_index"]
        n_ratings = tf.shape(movie_index)[0]
        if self.config.loss != "in_batch_softmax":
            n_movies = tf.shape(self.movie_inputs["movie_index"])[0]
            drawn = self.random.uniform([self.config.negatives], maxval=n_movies, dtype=tf.int32)
            movie_index = tf.concat([movie_index, drawn], axis=0)
        movies = {name: tf.gather(values, movie_index) for name, values in self.movie_inputs.items()}
        movie_vectors = self.movie_tower.learned(movies, training)
        loss, weight = 0.0, self.config.rating_weight
        if weight < 1:
            loss += (1 - weight) * self.task(user_vectors, movie_vectors, movie_index, inputs["history"])
        if weight:
            pairs = {"user_vector": user_vectors, "movie_vector": movie_vectors[:n_ratings]}
            loss += weight * self.rating_task(inputs["rating"], self.rating(pairs))
        return loss

    def _with_features(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {
            **inputs,
            "user_numbers": tf.gather(self._user_numbers, inputs["user_index"]),
            "user_genres": tf.gather(self._user_genres, inputs["user_index"]),
        }

    def movie_vectors(self) -> npt.NDArray[np.float32]:
        """The vectors of the whole catalogue, float32 [movies, output dimension]."""
        vectors: npt.NDArray[np.float32] = self.movie_tower(self.movie_inputs).numpy()
        return vectors

    def user_vectors(
        self, history: History, user_index: npt.NDArray[np.int32] | None = None, batch_size: int = 1024
    ) -> npt.NDArray[np.float32]:
        """The vectors of users, given what they have rated.

        Args:
            history: One row a user.
            user_index: int32 [users], who they are; all users in their order if not given.
            batch_size: Users computed at a time, which bounds the memory.

        Returns:
            float32 [users, output dimension].
        """
        users = np.arange(history.n_users, dtype=np.int32) if user_index is None else user_index
        tables = self.user_tower.tables()
        batches = []
        for start in range(0, history.n_users, batch_size):
            rows = history.rows(start, min(start + batch_size, history.n_users))
            inputs = {
                "user_index": tf.constant(users[start : start + rows.n_users]),
                "history": tf.RaggedTensor.from_row_splits(rows.movie_index, rows.row_splits),
                "history_rating": tf.RaggedTensor.from_row_splits(rows.rating, rows.row_splits),
            }
            inputs |= self.user_tower.sums(inputs, rows, tables)
            batches.append(self.user_tower(self._with_features(inputs)).numpy())
        return np.concatenate(batches)


def _retrieval_task(config: TwoTowerConfig, movie_counts: npt.NDArray[np.int64]) -> tfrs.tasks.Task:
    match config.loss:
        case "full_softmax":
            return FullSoftmax(config.temperature)
        case "reconstruction":
            return Reconstruction()
        case "in_batch_softmax" | "sampled_softmax":
            return SampledSoftmax(config.temperature, movie_counts)
        case "bpr":
            return Bpr(config.temperature, len(movie_counts))
