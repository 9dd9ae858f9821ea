"""The user tower: from what a user has rated, who they are, or both, to their vector."""

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from scipy.sparse import csr_array

from recommender.features.transformed_examples import History, TransformedExamples
from recommender.models.configuration import TwoTowerConfig, UserTowerConfig, embedding_width
from recommender.models.dense_part import DensePart, shrunk_by, standardize
from recommender.models.movie_tower import MovieTower
from recommender.models.sum_of_rows import sum_of_rows


class UserTower(tf.keras.Model):
    """Maps users to vectors.

    The history part is the sum of the length-1 vectors of the rated movies, each weighted by 1 or by its
    rating, and less the older it is where a `half_life` is set; the sum's own length carries no meaning,
    since parts are normalised before they meet.

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
            # Training looks at the table itself.
            self.history_embedding.build(None)
        if self.config.use_features:
            self.numbers = standardize(examples.user_numbers, "user_numbers")
            features_width = self.config.features_dimension if self.config.hidden else config.dimension
            self.features = tf.keras.layers.Dense(features_width, activation="relu", name="user_features")
        self.dense_part = DensePart(self.config, config, random)
        # The same score for everybody, by the movies' last number.
        self._same_for_all = config.recent_popularity is not None
        if config.low_rank_ease is not None:
            self.ease = self.add_weight(
                name="ease",
                shape=[examples.n_movies + 1, config.low_rank_ease.rank],
                initializer="zeros",
                trainable=False,
            )
        if self.config.half_lives:
            self.half_life = self.add_weight(
                name="half_life",
                shape=[],
                initializer=tf.keras.initializers.Constant(np.inf),
                trainable=False,
            )

    def call(self, inputs: dict[str, Any], training: bool = False) -> tf.Tensor:
        """Compute the vectors of some users.

        Args:
            inputs: `user_index` int32 [batch], -1 for a user that training does not know; `history` int32
                ragged [batch, None], movie positions, oldest first, -1 for an unknown movie;
                `history_rating` float32 ragged [batch, None]; `user_numbers` float32 [batch, 6];
                `user_genres` float32 [batch, genres]. Also what `sums` makes, if that has been asked.
            training: Whether part of the history is hidden, dropout and batch statistics apply.

        Returns:
            float32 [batch, output dimension]: what is learned, of length 1 where `normalize` is set, and 0
            for a user of whom nothing is known; then what `ClosedForm` has computed.
        """
        parts = [self.learned(inputs, training)]
        if hasattr(self, "ease"):
            ease = inputs.get("ease_sum")
            if ease is None:
                ease = _summed(self._ease_of_each(inputs), inputs)
            parts.append(tf.math.l2_normalize(ease, axis=-1))
        if self._same_for_all:
            parts.append(tf.ones_like(inputs["user_numbers"][:, :1]))
        return tf.concat(parts, axis=-1)

    def learned(self, inputs: dict[str, Any], training: bool = False) -> tf.Tensor:
        """What training changes of the vectors of some users.

        Args:
            inputs: As for `call`.
            training: As for `call`.

        Returns:
            float32 [batch, dimension], of length 1 where `normalize` is set; 0 for a user of whom nothing is
            known.
        """
        history = None
        if self.config.use_history:
            if training:
                history = self._partly_hidden_history(inputs)
            elif "history_sum" in inputs:
                history = inputs["history_sum"]
            else:
                history = _summed(self._history_of_each(inputs), inputs)
        return self.dense_part(self._parts(inputs, history), training=training)

    def tables(self) -> dict[str, npt.NDArray[np.float32]]:
        """What a rated movie adds to each sum over histories, float32 [1 + movies, width], by name."""
        tables = {}
        if self.config.use_history:
            embeddings = tf.cast(self.history_embedding.embeddings, tf.float32)
            tables["history_sum"] = tf.math.l2_normalize(embeddings, axis=-1).numpy()
        if hasattr(self, "ease"):
            tables["ease_sum"] = self.ease.numpy()
        return tables

    def sums(
        self, inputs: dict[str, Any], rows: History, tables: dict[str, npt.NDArray[np.float32]]
    ) -> dict[str, npt.NDArray[np.float32]]:
        """The sums over the histories of many users, which their vectors are made of.

        A product with a sparse matrix takes a twentieth of the time that TensorFlow needs to write out the
        row of each rating and add them up.

        Args:
            inputs: As for `call`.
            rows: The same histories.
            tables: As `tables` gives them.

        Returns:
            float32 [batch, width], by name: further inputs for `call`.
        """
        movies = len(next(iter(tables.values()), ()))
        rated = csr_array(
            (self._weight(inputs).numpy(), rows.movie_index + 1, rows.row_splits), (rows.n_users, movies)
        )
        return {name: rated @ table for name, table in tables.items()}

    def _parts(self, inputs: dict[str, Any], history: tf.Tensor | None) -> list[tf.Tensor]:
        parts = []
        if self.config.use_id:
            # Row 0 is never trained: an unknown user's id says nothing.
            ids = self.embedding(inputs["user_index"] + 1)
            parts.append(ids * tf.expand_dims(tf.cast(inputs["user_index"] >= 0, ids.dtype), -1))
        if history is not None:
            parts.append(history)
        if self.config.use_features:
            numbers = self.numbers(inputs["user_numbers"])
            parts.append(self.features(tf.concat([numbers, inputs["user_genres"]], axis=-1)))
        return parts

    def shares(self, inputs: dict[str, Any]) -> tf.Tensor:
        """What each rated movie adds to the vector of one user.

        A tower without hidden layers is a sum, and these are its terms: exactly so. Through hidden layers a
        movie's share is the difference between the vector and the one without that movie. What these do not
        add up to comes from elsewhere: the user's id and features, recent popularity, and what movies do
        together in hidden layers.

        Args:
            inputs: As for `call`, of one user.

        Returns:
            float32 [ratings, output dimension].
        """
        if self.config.use_history and not self.config.hidden:
            of_each = self._history_of_each(inputs)
            # The history's part is brought to length 1, then, where `normalize` is set, the sum of the parts.
            parts = self._parts(inputs, _summed(of_each, inputs))
            shares = [of_each * shrunk_by(_summed(of_each, inputs)) * self.dense_part.scale_of(parts)]
        else:
            shares = [self.learned(inputs) - self.learned(_each_left_out(inputs))]
        if hasattr(self, "ease"):
            of_each = self._ease_of_each(inputs)
            shares.append(of_each * shrunk_by(_summed(of_each, inputs)))
        if self._same_for_all:
            shares.append(tf.zeros_like(shares[0][:, :1]))
        return tf.concat(shares, axis=-1)

    def _ease_of_each(self, inputs: dict[str, Any]) -> tf.Tensor:
        of_each = tf.gather(self.ease, inputs["history"].values + 1)
        return of_each * tf.expand_dims(self._weight(inputs), -1)

    def _partly_hidden_history(self, inputs: dict[str, Any]) -> tf.Tensor:
        history = inputs["history"]
        is_shown = history.values >= 0
        if self.config.history_dropout:
            is_shown &= self._random.uniform(tf.shape(is_shown)) >= self.config.history_dropout
        places = tf.where(is_shown)[:, 0]
        shown = tf.RaggedTensor.from_value_rowids(
            tf.gather(history.values, places) + 1,
            tf.gather(history.value_rowids(), places),
            nrows=history.nrows(),
            validate=False,
        )
        weight = None
        if self.config.history_weights == "rating":
            weight = tf.gather(inputs["history_rating"].values, places)
        # A batch's histories hold most movies of a catalogue several times, so each is normalised once.
        table = tf.cast(self.history_embedding.embeddings, tf.float32)
        return sum_of_rows(tf.math.l2_normalize(table, axis=-1), shown, weight)

    def _history_of_each(self, inputs: dict[str, Any]) -> tf.Tensor:
        vectors = tf.cast(self.history_embedding(inputs["history"].values + 1), tf.float32)
        return tf.math.l2_normalize(vectors, axis=-1) * tf.expand_dims(self._weight(inputs), -1)

    def _weight(self, inputs: dict[str, Any]) -> tf.Tensor:
        """How much each movie of the histories counts once trained, float32 [ratings]."""
        history = inputs["history"]
        weight = tf.cast(history.values >= 0, tf.float32)
        if self.config.history_weights == "rating":
            weight *= inputs["history_rating"].values
        if self.config.half_lives:
            # Not `row_limits`, which cannot be converted to run without TensorFlow.
            users = history.value_rowids()
            lengths = tf.math.unsorted_segment_sum(tf.ones_like(history.values), users, history.nrows())
            last = tf.gather(tf.cumsum(lengths), users) - 1
            later = tf.cast(last - tf.range(tf.size(history.values)), tf.float32)
            weight *= tf.pow(0.5, later / self.half_life)
        return weight


def _summed(vectors: tf.Tensor, inputs: dict[str, Any]) -> tf.Tensor:
    """The sum over each user's history, float32 [batch, width]."""
    history = inputs["history"]
    return tf.math.unsorted_segment_sum(vectors, history.value_rowids(), history.nrows())


def _each_left_out(inputs: dict[str, Any]) -> dict[str, Any]:
    """One user as many, each without another one of the rated movies."""
    movies, ratings = inputs["history"].values, inputs["history_rating"].values
    count = tf.size(movies)
    user = tf.range(count)[:, tf.newaxis]
    place = tf.range(count - 1)[tf.newaxis]
    kept = tf.reshape(place + tf.cast(place >= user, tf.int32), [-1])
    users = tf.cast(tf.repeat(tf.range(count), count - 1), tf.int64)

    def histories(values: tf.Tensor) -> tf.RaggedTensor:
        return tf.RaggedTensor.from_value_rowids(
            tf.gather(values, kept), users, nrows=tf.cast(count, tf.int64), validate=False
        )

    others = {
        name: tf.repeat(values, count, axis=0)
        for name, values in inputs.items()
        if name not in ("history", "history_rating")
    }
    return {**others, "history": histories(movies), "history_rating": histories(ratings)}
