"""The best movies for one user: recalled by their vector, then ordered anew; popular ones for a stranger."""

import logging
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender.errors import IndexUnavailableError
from recommender.features import history as by_position
from recommender.release import History, Release
from recommender.retrieval.exact_index import ExactMovieIndex
from recommender.retrieval.movie_index import MovieIndex, ScoredMovie
from recommender.retrieval.online_model import UNKNOWN, OnlineModel
from recommender.retrieval.re_rank import ReRanking

_LOG = logging.getLogger(__name__)

Strategy = Literal["two_stage", "two_tower", "popular"]


class RecommendedMovie(NamedTuple):
    """A movie, how well it fits, and what the user would give it."""

    movie_id: int
    score: float
    """By which the movies are ordered; comparable within one answer only."""
    predicted_rating: float | None
    """In stars; None where nothing is known of the user, or the release predicts no ratings."""


@dataclass(frozen=True, slots=True)
class Recommended:
    """Movies for one user, best first, and how they were found.

    With `two_stage` the movies were recalled by the user's vector and a score is the re-ranker's; with
    `two_tower` it is the dot product of the user's and the movie's vector; with `popular` the number of
    people who rated the movie.
    """

    strategy: Strategy
    movies: list[RecommendedMovie]
    unknown_movie_ids: tuple[int, ...] = ()
    """Ids of a given history that the release does not know: passed over."""


class Recommender:
    """Recommends from one release, and answers also when its index does not.

    A release without `re_ranker/` is answered from in the order of retrieval; one without `online/` knows a
    user's own vector only, and predicts no ratings.

    Args:
        release: users, movies and what was rated.
        index: the same movies, for searching.

    Raises:
        DataError: a file of the release's models holds something else.
        ReleaseError: a model of the release cannot be run.
    """

    def __init__(self, release: Release, index: MovieIndex) -> None:
        self.release = release
        self._index = index
        self._exact = ExactMovieIndex(release.movie_ids, release.movie_vectors)
        online, re_ranker = release.online_folder, release.re_ranker_folder
        self._online = None if online is None else OnlineModel.load(online)
        self._re_ranking = None if re_ranker is None else ReRanking.load(re_ranker)

    def recommend(self, user_id: int, limit: int) -> Recommended:
        """The best movies that a user of the release has not rated.

        What the user had rated when the model was trained is in their vector; a user without a vector gets
        what their ratings say, and without ratings the most popular movies.

        Args:
            user_id: Who.
            limit: How many, 1 or more; fewer come back where fewer are left.
        """
        history = self.release.history_of(user_id)
        position = self.release.user_position(user_id)
        if position is None:
            return self.recommend_for(history, limit)
        rated = self._rated(history)
        return self._by_vector(self.release.user_vectors[position], rated, limit, position)

    def recommend_for(self, history: History, limit: int, user_id: int | None = None) -> Recommended:
        """The best movies for whoever has rated these, which need not be in the release.

        Args:
            history: Everything that they have rated, oldest first, with time 0 where that is not known; the
                last rating counts where a movie comes twice. None of it comes back.
            limit: How many, 1 or more; fewer come back where fewer are left.
            user_id: Who, if that is known: what the model has learned of a user of the release counts too.

        Raises:
            ValueError: the arrays are of different lengths, or a rating is not finite.
        """
        rated = self._rated(history)
        unknown = tuple(history.movie_ids[self.release.movie_positions(history.movie_ids) < 0].tolist())
        position = None if user_id is None else self.release.user_position(user_id)
        vector = self._vector(rated, UNKNOWN if position is None else position)
        if vector is None:
            popular = Recommended("popular", self._popular(limit, rated.positions))
            return replace(popular, unknown_movie_ids=unknown)
        found = self._by_vector(vector, rated, limit, UNKNOWN if position is None else position)
        return replace(found, unknown_movie_ids=unknown)

    def _rated(self, history: History) -> "_Rated":
        lengths = {len(history.movie_ids), len(history.ratings), len(history.timestamps)}
        if len(lengths) > 1 or not np.isfinite(history.ratings).all():
            raise ValueError("a history has one finite rating and one time for each movie")
        positions = self.release.movie_positions(history.movie_ids)
        # The last rating of each movie, in the order of the history.
        _, from_the_end = np.unique(positions[::-1], return_index=True)
        last = np.sort(len(positions) - 1 - from_the_end)
        last = last[positions[last] >= 0]
        return _Rated(positions[last].astype(np.int32), history.ratings[last], history.timestamps[last])

    def _vector(self, rated: "_Rated", position: int) -> NDArray[np.float32] | None:
        """The vector of a user by what they have rated; None where that says nothing."""
        if not len(rated.positions):
            return None
        if self._online is None:
            return None if position == UNKNOWN else self.release.user_vectors[position]
        vector = self._online.user_vector(position, rated.positions, rated.ratings, rated.timestamps)
        return vector if vector.any() else None

    def _by_vector(
        self, vector: NDArray[np.float32], rated: "_Rated", limit: int, position: int
    ) -> Recommended:
        second = self._re_ranking
        wanted = limit if second is None else max(limit, second.candidates)
        recalled = self._search(vector, wanted, self.release.movie_ids[rated.positions])
        movie_ids = np.array([movie.movie_id for movie in recalled], np.int64)
        scores = np.array([movie.score for movie in recalled], np.float32)
        best = self.release.movie_positions(movie_ids)
        if second is not None and recalled:
            history = by_position.History(np.array([0, len(rated.positions)]), rated.positions, rated.ratings)
            ordered, ordered_scores = second.best(history, best[np.newaxis], scores[np.newaxis], limit)
            best, scores = ordered[0], ordered_scores[0]
        ratings: list[float] | list[None] = [None] * len(best)
        if self._online is not None and len(best):
            ratings = self._online.ratings(position, rated.positions, rated.ratings, best).tolist()
        movies = zip(self.release.movie_ids[best].tolist(), scores.tolist(), ratings, strict=True)
        strategy: Strategy = "two_tower" if second is None else "two_stage"
        return Recommended(strategy, [RecommendedMovie(*movie) for movie in movies])

    def _search(self, vector: NDArray[np.float32], limit: int, seen: NDArray[np.int64]) -> list[ScoredMovie]:
        exclude = seen.tolist()
        try:
            return self._index.search(vector, limit, exclude=exclude)
        except IndexUnavailableError as error:
            _LOG.warning("%s Searching the release's vectors instead.", error)
            return self._exact.search(vector, limit, exclude=exclude)

    def _popular(self, limit: int, seen: NDArray[np.int32]) -> list[RecommendedMovie]:
        popular = self.release.popular_movie_ids
        movie_ids = popular[~np.isin(popular, self.release.movie_ids[seen])][:limit]
        counts = self.release.movie_rating_counts[self.release.movie_positions(movie_ids)]
        return [
            RecommendedMovie(movie_id, float(count), None)
            for movie_id, count in zip(movie_ids.tolist(), counts.tolist(), strict=True)
        ]


@dataclass(frozen=True, slots=True)
class _Rated:
    """A history by position: each movie once, those that the release does not know left out."""

    positions: NDArray[np.int32]
    ratings: NDArray[np.float32]
    timestamps: NDArray[np.int64]
