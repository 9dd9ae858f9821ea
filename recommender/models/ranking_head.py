"""The ranking head: which rating would this user give this movie?"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

from recommender.features.ragged_history import RaggedHistory
from recommender.features.transformed_examples import History, Interactions
from recommender.models.ranking_head_configuration import RankingHeadConfig
from recommender.models.rating_side import RatingSide

_RATINGS_AT_ONCE = 65_536


class RankingHead(tfrs.Model):
    """Predicts ratings from two histories: what the user has rated, and who has rated the movie.

    A rating of a known user is the mean of both sides' predictions. A user that training does not know is
    predicted from the own history alone, and without one to give a movie its mean; a movie without ratings
    gets the user's mean.

    Args:
        config: Hyperparameters.
        n_users: Users that training knows.
        n_movies: Movies of the catalogue.
        scale: The lowest and the highest rating there is, in stars.
    """

    def __init__(
        self, config: RankingHeadConfig, n_users: int, n_movies: int, scale: tuple[float, float]
    ) -> None:
        super().__init__(name="ranking_head")
        self._l2, self._scale = config.l2, scale
        shape = (config.width, config.mean_prior)
        self.user_side = RatingSide(n_movies, *shape, name="user_side")
        self.movie_side = RatingSide(n_users, *shape, name="movie_side")
        # Row 0 is for the unknown: of whom there is no history.
        self.user_states = self.add_weight(
            "user_states", [n_users + 1, config.width + 1], initializer="zeros", trainable=False
        )
        self.movie_states = self.add_weight(
            "movie_states", [n_movies + 1, config.width + 1], initializer="zeros", trainable=False
        )
        self.task = tfrs.tasks.Ranking(loss=tf.keras.losses.MeanSquaredError())

    def learn_means(self, train: Interactions) -> None:
        """Note the mean rating of each movie and of each user, before training."""
        self.user_side.learn_means(train.movie_index, train.rating)
        self.movie_side.learn_means(train.user_index, train.rating)

    def remember(self, users: History, movies: History) -> None:
        """Sum up what users and movies are predicted from when they come without a history.

        Args:
            users: What each user has rated.
            movies: Who has rated each movie: positions of users in place of those of movies.
        """
        for side, states, histories in (
            (self.user_side, self.user_states, users),
            (self.movie_side, self.movie_states, movies),
        ):
            nothing = tf.RaggedTensor.from_row_lengths(tf.constant([], tf.int32), [0])
            parts = [side.states(nothing, tf.cast(nothing, tf.float32))]
            for block in _blocks(histories):
                batch = RaggedHistory(block).users(tf.range(block.n_users))
                parts.append(side.states(batch["history"], batch["history_rating"]))
            states.assign(tf.concat(parts, axis=0))

    def call(self, inputs: dict[str, Any], training: bool = False) -> tf.Tensor:
        """Predict ratings.

        Args:
            inputs: `user_index` and `movie_index` int32 [batch], -1 where training does not know them. With
                `user_state` float32 [batch, width + 1], as of `user_side.states`, in place of what was
                remembered of the user. Other entries are passed over.
            training: Makes no difference.

        Returns:
            float32 [batch], in stars, within the scale.
        """
        user_index, movie_index = inputs["user_index"], inputs["movie_index"]
        user_state = inputs.get("user_state")
        if user_state is None:
            user_state = tf.gather(self.user_states, user_index + 1)
        from_user = self.user_side.rate(user_state, movie_index)
        from_movie = self.movie_side.rate(tf.gather(self.movie_states, movie_index + 1), user_index)
        both = (from_user + from_movie) / 2
        known = tf.gather(self.movie_side.counts, user_index + 1) > 0
        return tf.clip_by_value(tf.where(known, both, from_user), *self._scale)

    def compute_loss(self, inputs: dict[str, Any], training: bool = False) -> tf.Tensor:
        """The squared error of both sides, each rating predicted without itself, and the penalty.

        Args:
            inputs: `users` and `movies`, each `history` int32 ragged [owners, None] and `history_rating`
                float32 ragged [owners, None]. The sides share no weights, so these need not have to do with
                each other.
            training: Makes no difference.

        Returns:
            A scalar, in stars squared.
        """
        losses = []
        for side, owners in ((self.user_side, inputs["users"]), (self.movie_side, inputs["movies"])):
            history, rating = owners["history"], owners["history_rating"]
            predicted, penalty = side.leave_one_out(history, rating)
            losses.append(self.task(labels=rating.values, predictions=predicted) + self._l2 * penalty)
        return tf.add_n(losses)


def _blocks(history: History) -> Iterator[History]:
    """Rows that hold about as many ratings as memory is to be spent on at once."""
    start = 0
    while start < history.n_users:
        end = history.row_splits[start] + _RATINGS_AT_ONCE
        stop = max(int(np.searchsorted(history.row_splits, end, side="right")) - 1, start + 1)
        yield history.rows(start, stop)
        start = stop
