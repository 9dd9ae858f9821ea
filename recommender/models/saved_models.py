"""Towers and ranking head as SavedModels that take the source's own ids.

Each takes every input its signature names, whether its configuration looks at it or not, so that whoever
calls a release's models never has to ask how they were made.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from recommender.features.transformed_examples import History, TransformedExamples
from recommender.models.movie_tower import MovieTower
from recommender.models.ranking_head import RankingHead
from recommender.models.user_tower import UserTower

PADDING = -1
"""Stands in `history_movie_id` where a user has rated fewer movies than another of the batch."""

Signature = Any


def _positions(ids: npt.NDArray[np.int64]) -> tf.lookup.StaticHashTable:
    """From source ids to positions, -1 for the unknown."""
    entries = tf.lookup.KeyValueTensorInitializer(tf.constant(ids), tf.range(len(ids), dtype=tf.int32))
    return tf.lookup.StaticHashTable(entries, default_value=-1)


class _ServedUserTower(tf.Module):
    def __init__(self, tower: UserTower, examples: TransformedExamples) -> None:
        super().__init__()
        self.tower = tower
        self.users = _positions(examples.user_ids)
        self.movies = _positions(examples.movie_ids)
        self.serve = tf.function(
            self._serve,
            input_signature=[
                tf.TensorSpec([None], tf.int64, "user_id"),
                tf.TensorSpec([None, None], tf.int64, "history_movie_id"),
                tf.TensorSpec([None, None], tf.float32, "history_rating"),
                tf.TensorSpec([None, examples.user_numbers.shape[1]], tf.float32, "user_numbers"),
                tf.TensorSpec([None, examples.user_genres.shape[1]], tf.float32, "user_genres"),
            ],
        )

    def _serve(
        self,
        user_id: tf.Tensor,
        history_movie_id: tf.Tensor,
        history_rating: tf.Tensor,
        user_numbers: tf.Tensor,
        user_genres: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        movie_index = self.movies.lookup(history_movie_id)
        known = movie_index >= 0
        inputs = {
            "user_index": self.users.lookup(user_id),
            "history": tf.ragged.boolean_mask(movie_index, known),
            "history_rating": tf.ragged.boolean_mask(history_rating, known),
            "user_numbers": user_numbers,
            "user_genres": user_genres,
        }
        return {"embedding": self.tower(inputs)}


class _ServedMovieTower(tf.Module):
    def __init__(self, tower: MovieTower, examples: TransformedExamples) -> None:
        super().__init__()
        self.tower = tower
        self.movies = _positions(examples.movie_ids)
        self.serve = tf.function(
            self._serve,
            input_signature=[
                tf.TensorSpec([None], tf.int64, "movie_id"),
                tf.TensorSpec([None, examples.movie_numbers.shape[1]], tf.float32, "movie_numbers"),
                tf.TensorSpec([None, examples.movie_genres.shape[1]], tf.float32, "movie_genres"),
            ],
        )

    def _serve(
        self, movie_id: tf.Tensor, movie_numbers: tf.Tensor, movie_genres: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        inputs = {
            "movie_index": self.movies.lookup(movie_id),
            "movie_numbers": movie_numbers,
            "movie_genres": movie_genres,
        }
        return {"embedding": self.tower(inputs)}


class _ServedRankingHead(tf.Module):
    def __init__(self, head: RankingHead, examples: TransformedExamples, dimension: int) -> None:
        super().__init__()
        self.head = head
        self.users = _positions(examples.user_ids)
        self.movies = _positions(examples.movie_ids)
        self.serve = tf.function(
            self._serve,
            input_signature=[
                tf.TensorSpec([None], tf.int64, "user_id"),
                tf.TensorSpec([None], tf.int64, "movie_id"),
                tf.TensorSpec([None, dimension], tf.float32, "user_vector"),
                tf.TensorSpec([None, dimension], tf.float32, "movie_vector"),
            ],
        )
        self.serve_history = tf.function(
            self._serve_history,
            input_signature=[
                tf.TensorSpec([None], tf.int64, "user_id"),
                tf.TensorSpec([None, None], tf.int64, "history_movie_id"),
                tf.TensorSpec([None, None], tf.float32, "history_rating"),
                tf.TensorSpec([None, None], tf.int64, "movie_id"),
            ],
        )

    def _serve(
        self, user_id: tf.Tensor, movie_id: tf.Tensor, user_vector: tf.Tensor, movie_vector: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        inputs = {
            "user_index": self.users.lookup(user_id),
            "movie_index": self.movies.lookup(movie_id),
            "user_vector": user_vector,
            "movie_vector": movie_vector,
        }
        return {"rating": self.head(inputs)}

    def _serve_history(
        self,
        user_id: tf.Tensor,
        history_movie_id: tf.Tensor,
        history_rating: tf.Tensor,
        movie_id: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        history = self.movies.lookup(history_movie_id)
        known = history >= 0
        states = self.head.user_side.states(
            tf.ragged.boolean_mask(history, known), tf.ragged.boolean_mask(history_rating, known)
        )
        shape = tf.shape(movie_id)
        rating = self.head(
            {
                "user_index": tf.repeat(self.users.lookup(user_id), shape[1]),
                "movie_index": tf.reshape(self.movies.lookup(movie_id), [-1]),
                "user_state": tf.repeat(states, shape[1], axis=0),
            }
        )
        return {"rating": tf.reshape(rating, shape)}


def _save(module: Any, folder: Path) -> None:
    # A tf.function made in __init__ must have been traced before the signature can be written.
    tf.saved_model.save(module, str(folder), signatures=module.serve.get_concrete_function())


def save_user_tower(tower: UserTower, examples: TransformedExamples, folder: Path) -> None:
    """Write the user tower as a SavedModel.

    Its signature takes `user_id` int64 [batch], `history_movie_id` int64 [batch, length] (`PADDING` where
    there is no movie; unknown movies are passed over), `history_rating` float32 [batch, length],
    `user_numbers` float32 [batch, 6], `user_genres` float32 [batch, genres], and answers `embedding`
    float32 [batch, dimension].
    """
    _save(_ServedUserTower(tower, examples), folder)


def save_movie_tower(tower: MovieTower, examples: TransformedExamples, folder: Path) -> None:
    """Write the movie tower as a SavedModel.

    Its signature takes `movie_id` int64 [batch], `movie_numbers` float32 [batch, 6], `movie_genres`
    float32 [batch, genres], and answers `embedding` float32 [batch, dimension].
    """
    _save(_ServedMovieTower(tower, examples), folder)


def save_ranking_head(head: RankingHead, examples: TransformedExamples, dimension: int, folder: Path) -> None:
    """Write the ranking head as a SavedModel with two signatures.

    `serving_default` takes `user_id` and `movie_id` int64 [batch], `user_vector` and `movie_vector` float32
    [batch, dimension], and answers `rating` float32 [batch], in stars, from what each user had rated when the
    head was fitted.

    `from_history` takes `user_id` int64 [users], `history_movie_id` int64 [users, length] (`PADDING` where
    there is no movie), `history_rating` float32 [users, length] and `movie_id` int64 [users, candidates], and
    answers `rating` float32 [users, candidates]: for new users, and for those who have rated since.
    """
    module = _ServedRankingHead(head, examples, dimension)
    signatures = {
        "serving_default": module.serve.get_concrete_function(),
        "from_history": module.serve_history.get_concrete_function(),
    }
    tf.saved_model.save(module, str(folder), signatures=signatures)


def load_signature(folder: Path, name: str = "serving_default") -> Signature:
    """A signature of a SavedModel, a function of named tensors."""
    model = tf.saved_model.load(str(folder))
    signature = model.signatures[name]
    # The function holds no reference to the model that owns its variables.
    signature._marquee_owner = model
    return signature


def user_vectors(
    tower: Signature, examples: TransformedExamples, history: History, batch_size: int = 1024
) -> npt.NDArray[np.float32]:
    """Run a saved user tower over every user.

    Args:
        tower: As `load_signature` gives it.
        examples: The users' ids and features.
        history: What each user has rated, one row a user.
        batch_size: Users computed at a time, which bounds the memory.

    Returns:
        float32 [users, dimension].
    """
    batches = []
    for start in range(0, history.n_users, batch_size):
        stop = min(start + batch_size, history.n_users)
        rows = history.rows(start, stop)
        filled = np.arange(rows.lengths.max(initial=0)) < rows.lengths[:, np.newaxis]
        movie_ids = np.full(filled.shape, PADDING, np.int64)
        ratings = np.zeros(filled.shape, np.float32)
        movie_ids[filled] = examples.movie_ids[rows.movie_index]
        ratings[filled] = rows.rating
        answer = tower(
            user_id=tf.constant(examples.user_ids[start:stop]),
            history_movie_id=tf.constant(movie_ids),
            history_rating=tf.constant(ratings),
            user_numbers=tf.constant(examples.user_numbers[start:stop]),
            user_genres=tf.constant(examples.user_genres[start:stop]),
        )
        batches.append(answer["embedding"].numpy())
    return np.concatenate(batches)


def movie_vectors(tower: Signature, examples: TransformedExamples) -> npt.NDArray[np.float32]:
    """Run a saved movie tower over the whole catalogue: float32 [movies, dimension]."""
    answer = tower(
        movie_id=tf.constant(examples.movie_ids),
        movie_numbers=tf.constant(examples.movie_numbers),
        movie_genres=tf.constant(examples.movie_genres),
    )
    vectors: npt.NDArray[np.float32] = answer["embedding"].numpy()
    return vectors


def predicted_ratings(
    ranker: Signature,
    examples: TransformedExamples,
    *,
    user_index: npt.NDArray[np.int32],
    movie_index: npt.NDArray[np.int32],
    users: npt.NDArray[np.float32],
    movies: npt.NDArray[np.float32],
    batch_size: int = 65_536,
) -> npt.NDArray[np.float32]:
    """Run a saved ranking head over pairs of users and movies.

    Args:
        ranker: As `load_signature` gives it.
        examples: Gives the ids.
        user_index: int32 [pairs].
        movie_index: int32 [pairs].
        users: float32 [users, dimension], the user vectors.
        movies: float32 [movies, dimension], the movie vectors.
        batch_size: Pairs computed at a time.

    Returns:
        float32 [pairs], in stars.
    """
    batches = [np.empty(0, np.float32)]
    for start in range(0, len(user_index), batch_size):
        user, movie = user_index[start : start + batch_size], movie_index[start : start + batch_size]
        answer = ranker(
            user_id=tf.constant(examples.user_ids[user]),
            movie_id=tf.constant(examples.movie_ids[movie]),
            user_vector=tf.constant(users[user]),
            movie_vector=tf.constant(movies[movie]),
        )
        batches.append(answer["rating"].numpy())
    return np.concatenate(batches)
