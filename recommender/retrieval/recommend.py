"""The best movies for one user: recalled by their vector, then ordered anew; popular ones for a stranger."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from recommender.errors import IndexUnavailableError
from recommender.features import history as by_position
from recommender.release import History, Release
from recommender.retrieval.diversity import most_diverse
from recommender.retrieval.exact_index import ExactMovieIndex
from recommender.retrieval.movie_filter import MovieFilter
from recommender.retrieval.movie_index import FoundMovies, MovieIndex
from recommender.retrieval.online_model import UNKNOWN, OnlineModel
from recommender.retrieval.re_rank import ReRanking

_LOG = logging.getLogger(__name__)

Strategy = Literal["two_stage", "two_tower", "popular"]
Timing = Callable[[Literal["recall", "rank"]], AbstractContextManager[Any]]
"""Times what happens inside."""

_CHOICE: Final = 5
"""Movies among which each place of a diverse answer is chosen."""


def _untimed(_: str) -> AbstractContextManager[None]:
    return nullcontext()


class RecommendedMovie(NamedTuple):
    """A movie, how well it fits, and what the user would give it."""

    movie_id: int
    score: float
    """By which the movies are ordered; comparable within one answer only."""
    predicted_rating: float | None
    """In stars; None where nothing is known of the user, or the release predicts no ratings."""


@dataclass(frozen=True, slots=True)
class RatedMovies:
    """A history by position: each movie once, those that the release does not know left out."""

    positions: NDArray[np.int32]
    ratings: NDArray[np.float32]
    timestamps: NDArray[np.int64]
    unknown_movie_ids: tuple[int, ...] = ()

    @classmethod
    def by(cls, release: Release, user_id: int) -> Self:
        """What a release knows that a user has rated."""
        history = release.history_of(user_id)
        return cls(release.positions_rated_by(user_id), history.ratings, history.timestamps)


@dataclass(frozen=True, slots=True)
class Asking:
    """Somebody to recommend to."""

    position: int
    """In the release; `UNKNOWN` for who is not in it."""
    rated: RatedMovies
    """What they have rated."""
    vector: NDArray[np.float32] | None
    """Of `rated`, float32 [dimension]; None where nothing is known of them."""


@dataclass(frozen=True, slots=True)
class Grounds:
    """What an answer was computed from, for whoever explains it."""

    asking: Asking
    """Whom it is for."""
    candidates: NDArray[np.int64]
    """int64 [candidates], positions of the movies that were recalled, best first."""
    retrieval_scores: NDArray[np.float32]
    """float32 [candidates], of the towers."""


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
    exact_instead: bool = False
    """Whether the index did not answer and every vector was searched instead."""
    grounds: Grounds | None = field(default=None, compare=False, repr=False)
    """What it was computed from."""


class Recommender:
    """Recommends from one release, and answers also when its index does not.

    A release without `re_ranker/` is answered from in the order of retrieval; one without `online/` knows a
    user's own vector only, and predicts no ratings.

    Args:
        release: users, movies and what was rated.
        index: the same movies, for searching.

    Attributes:
        release: As given.
        exact: Every movie, searched without the index.
        online: What computes vectors and ratings for any history; None where the release has none.
        re_ranking: The second stage; None where the release has none.

    Raises:
        DataError: a file of the release's models holds something else.
        ReleaseError: a model of the release cannot be run.
    """

    def __init__(self, release: Release, index: MovieIndex) -> None:
        self.release = release
        self._index = index
        self._index_failed = False
        self.exact: Final = ExactMovieIndex.of_release(release)
        online, re_ranker = release.online_folder, release.re_ranker_folder
        self.online: Final = None if online is None else OnlineModel.load(online)
        self.re_ranking: Final = None if re_ranker is None else ReRanking.load(re_ranker)

    def recommend(
        self,
        user_id: int,
        limit: int,
        *,
        filter: MovieFilter | None = None,
        diversity: float = 0.0,
        timing: Timing = _untimed,
    ) -> Recommended:
        """The best movies that a user of the release has not rated.

        What the user had rated when the model was trained is in their vector; a user without a vector gets
        what their ratings say, and without ratings the most popular movies.

        Args:
            user_id: Who.
            limit: How many, 1 or more; fewer come back where fewer are left.
            filter: What the movies must be like.
            diversity: From 0, the best movies, to 1, movies as unlike each other as can be; see `diversity`.
            timing: Times the two stages; nothing is timed without it.
        """
        rated = RatedMovies.by(self.release, user_id)
        position = self.release.user_position(user_id)
        vector = self._vector(rated, UNKNOWN) if position is None else self.release.user_vector(position)
        user = Asking(UNKNOWN if position is None else position, rated, vector)
        return self._recommend(user, limit, filter, diversity, timing)

    def recommend_for(
        self,
        history: History,
        limit: int,
        user_id: int | None = None,
        *,
        filter: MovieFilter | None = None,
        diversity: float = 0.0,
        timing: Timing = _untimed,
    ) -> Recommended:
        """The best movies for whoever has rated these, which need not be in the release.

        Args:
            history: Everything that they have rated, oldest first, with time 0 where that is not known; the
                last rating counts where a movie comes twice. None of it comes back.
            limit: How many, 1 or more; fewer come back where fewer are left.
            user_id: Who, if that is known: what the model has learned of a user of the release counts too.
            filter: What the movies must be like.
            diversity: From 0, the best movies, to 1, movies as unlike each other as can be; see `diversity`.
            timing: Times the two stages; nothing is timed without it.

        Raises:
            ValueError: the arrays are of different lengths, or a rating is not finite.
        """
        rated = self._rated(history)
        found = None if user_id is None else self.release.user_position(user_id)
        position = UNKNOWN if found is None else found
        user = Asking(position, rated, self._vector(rated, position))
        return self._recommend(user, limit, filter, diversity, timing)

    def similar(self, movie_id: int, limit: int, *, filter: MovieFilter | None = None) -> "Similar":
        """The movies most like one, itself left out.

        Args:
            movie_id: Of the release.
            limit: How many, 1 or more; fewer come back where fewer are left.
            filter: What the movies must be like.
        """
        position = self.release.movie_position(movie_id)
        assert position is not None, "a movie of the release"
        vector = self.release.movie_vectors[position]
        movies, exact_instead = self._search(vector, limit, [movie_id], filter)
        return Similar(movies, exact_instead)

    def _rated(self, history: History) -> RatedMovies:
        lengths = {len(history.movie_ids), len(history.ratings), len(history.timestamps)}
        if len(lengths) > 1 or not np.isfinite(history.ratings).all():
            raise ValueError("a history has one finite rating and one time for each movie")
        positions = self.release.movie_positions(history.movie_ids)
        # The last rating of each movie, in the order of the history.
        _, from_the_end = np.unique(positions[::-1], return_index=True)
        last = np.sort(len(positions) - 1 - from_the_end)
        last = last[positions[last] >= 0]
        unknown = tuple(history.movie_ids[positions < 0].tolist())
        return RatedMovies(
            positions[last].astype(np.int32), history.ratings[last], history.timestamps[last], unknown
        )

    def _vector(self, rated: RatedMovies, position: int) -> NDArray[np.float32] | None:
        """The vector of a user by what they have rated; None where that says nothing."""
        if not len(rated.positions):
            return None
        if self.online is None:
            return None if position == UNKNOWN else self.release.user_vector(position)
        vector = self.online.user_vector(position, rated.positions, rated.ratings, rated.timestamps)
        return vector if vector.any() else None

    def _recommend(
        self, user: Asking, limit: int, filter: MovieFilter | None, diversity: float, timing: Timing
    ) -> Recommended:
        """Recall candidates, order them, and choose among the best of them."""
        second = None if user.vector is None else self.re_ranking
        among = limit if diversity == 0 else _CHOICE * limit
        with timing("recall"):
            exact_instead = False
            if user.vector is None:
                movies = self._popular(among, user.rated.positions, filter)
            else:
                wanted = among if second is None else max(among, second.candidates)
                exclude = self.release.movie_ids[user.rated.positions].tolist()
                movies, exact_instead = self._search(user.vector, wanted, exclude, filter)
        best, scores = self.release.movie_positions(movies.movie_ids), movies.scores
        grounds = Grounds(user, best, scores)
        with timing("rank"):
            if second is not None and len(movies):
                rated = user.rated
                history = by_position.History(
                    np.array([0, len(rated.positions)]), rated.positions, rated.ratings
                )
                ordered = second.best(history, best[np.newaxis], scores[np.newaxis], among)
                best, scores = ordered[0][0], ordered[1][0]
            if diversity > 0:
                chosen = most_diverse(scores, self.release.movie_vectors[best], limit, diversity)
                best, scores = best[chosen], scores[chosen]
            predicted = self._predicted(user, best)
        strategy: Strategy = "two_tower" if second is None else "two_stage"
        answer = zip(self.release.movie_ids[best].tolist(), scores.tolist(), predicted, strict=True)
        return Recommended(
            strategy="popular" if user.vector is None else strategy,
            movies=[RecommendedMovie(*movie) for movie in answer],
            unknown_movie_ids=user.rated.unknown_movie_ids,
            exact_instead=exact_instead,
            grounds=grounds,
        )

    def _predicted(self, user: Asking, movies: NDArray[np.int64]) -> list[float] | list[None]:
        if self.online is None or user.vector is None or not len(movies):
            return [None] * len(movies)
        rated = user.rated
        stars = self.online.ratings(user.position, rated.positions, rated.ratings, movies)
        predicted: list[float] = stars.tolist()
        return predicted

    def _search(
        self, vector: NDArray[np.float32], limit: int, exclude: list[int], filter: MovieFilter | None
    ) -> tuple[FoundMovies, bool]:
        """The nearest movies, and whether the index did not answer."""
        try:
            found = self._index.search(vector, limit, exclude=exclude, filter=filter)
        except IndexUnavailableError as error:
            if not self._index_failed:  # Said once, and not for each of a thousand requests.
                _LOG.warning("%s Searching the release's vectors instead.", error)
            self._index_failed = True
            return self.exact.search(vector, limit, exclude=exclude, filter=filter), True
        self._index_failed = False
        return found, False

    def _popular(self, limit: int, seen: NDArray[np.int32], filter: MovieFilter | None) -> FoundMovies:
        popular = self.release.popular_positions
        out = np.zeros(len(popular), np.bool_) if filter is None else ~self.exact.passing(filter)
        out[seen] = True
        positions = popular[~out[popular]][:limit]
        counts = self.release.movie_rating_counts[positions]
        return FoundMovies(self.release.movie_ids[positions], counts.astype(np.float32))


@dataclass(frozen=True, slots=True)
class Similar:
    """Movies like one, most similar first."""

    movies: FoundMovies
    exact_instead: bool
    """Whether the index did not answer and every vector was searched instead."""
