"""What speaks for a recommended movie, in numbers that add up to its score."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.explanations.likings import Liking, Likings
from recommender.features import history as by_position
from recommender.models.re_ranker_configuration import RETRIEVAL_SCORE
from recommender.release import History, Movie, Release
from recommender.retrieval.re_rank import ReRanking
from recommender.retrieval.recommend import Asking, Grounds, Recommended, Recommender

LIKED_SHARE: Final = 0.7
"""Of the highest rating in the release: 3.5 of 5. What a harsh user rated lower was not liked either."""
WEAKEST_SHARE: Final = 0.5
"""Of the strongest evidence's similarity: what is less similar than this is not named beside it."""
NAMED: Final = 3
"""Most rated movies that an explanation names."""
ITS_TIME: Final = 7
"""Most years between movies of one time."""
_ROUNDING: Final = 1e-4


def liked_movies(release: Release, history: History) -> NDArray[np.int64]:
    """Movies that somebody rated at their own average or above, and well at that.

    Returns:
        int64 [n], best first, latest first among equals; movies the release does not hold are left out.
    """
    if len(history.ratings) == 0:
        return np.empty(0, dtype=np.int64)
    order = np.lexsort((history.movie_ids, -history.timestamps, -history.ratings))
    liked = history.movie_ids[order][history.ratings[order] >= liked_from(release, history.ratings)]
    return liked[release.movie_positions(liked) >= 0]


def liked_from(release: Release, ratings: NDArray[np.float32]) -> float:
    """The lowest rating at which somebody who gave these, one or more, liked a movie."""
    return max(float(ratings.mean()), LIKED_SHARE * release.highest_rating) - _ROUNDING


def find_evidence(
    release: Release, history: History, movie_ids: NDArray[np.int64], *, at_most: int = 2
) -> list[list[int]]:
    """The liked movies most similar to each recommended one, by the dot product of the movies' vectors.

    For releases made without what `Explainer` needs.

    Args:
        release: whose movies.
        history: what whoever gets the recommendations has rated; for nothing rated nothing speaks.
        movie_ids: int64 [n], the recommended movies, all in the release.
        at_most: how many for each.

    Returns:
        For each recommended movie the ids of up to `at_most` liked ones, most similar first; none with a
        similarity of 0 or below, because those speak against it.
    """
    liked = liked_movies(release, history)
    if len(liked) == 0 or len(movie_ids) == 0:
        return [[] for _ in movie_ids]
    recommended_vectors = release.movie_vectors[release.movie_positions(movie_ids)]
    similarities = recommended_vectors @ release.movie_vectors[release.movie_positions(liked)].T
    best = np.argsort(-similarities, axis=1, kind="stable")[:, :at_most]
    best_similarities = np.take_along_axis(similarities, best, axis=1)
    speaks = (best_similarities > 0) & (best_similarities >= WEAKEST_SHARE * best_similarities[:, :1])
    return [liked[row[keep]].tolist() for row, keep in zip(best, speaks, strict=True)]


@dataclass(frozen=True, slots=True)
class RatedGround:
    """What one rated movie has to do with a recommended one."""

    movie: Movie
    """The rated movie."""
    rating: float
    """What the user gave it."""
    liked: bool
    """Whether that is at their own average or above, and well at that."""
    by_retrieval: float
    """What it adds to the score through the user's vector."""
    by_neighbours: float
    """What it adds through the re-ranker's item-to-item evidence; 0 without a re-ranker."""
    shared_genres: tuple[str, ...]
    """Genres of both."""
    years_apart: int | None
    """Years between them; None where one is not known."""
    people: Liking | None
    """What those who liked it thought of the recommended one; None where too few rated both."""

    @property
    def contribution(self) -> float:
        """What it adds to the score in all."""
        return self.by_retrieval + self.by_neighbours

    @property
    def is_of_its_time(self) -> bool:
        """Whether both are of one time."""
        return self.years_apart is not None and self.years_apart <= ITS_TIME


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why one movie has its score: all contributions and `parts` add up to it.

    A score says more than another only beside it, so everything is counted from the mean of what the movie
    is compared with: the candidates of the re-ranker, or, without one, the catalogue.
    """

    movie: Movie
    """The recommended movie."""
    score: float
    """As in the answer."""
    grounds: tuple[RatedGround, ...]
    """The rated movies that add most, most first, `NAMED` at most; none that adds nothing."""
    other_ratings: float
    """What all other rated movies add."""
    parts: dict[str, float]
    """What does not come from single ratings. `profile`: the rest of the user's vector, such as recent
    popularity, and, where a release's own vector of a user was made without the ratings held out for the
    test, the difference. With a re-ranker `popularity`, `mean_rating`, `year_distance` and `genre_match`: see
    `candidate_features`. `base`: what does not tell the movie from others, such as the length of the
    history."""


@dataclass(frozen=True, slots=True)
class _Added:
    """What was added to the scores of some movies, by rated movie and otherwise."""

    by_retrieval: NDArray[np.float32]
    """float32 [ratings, movies]."""
    by_neighbours: NDArray[np.float32]
    """float32 [ratings, movies]."""
    parts: dict[str, NDArray[np.float32]]
    """float32 [movies] each."""


class Explainer:
    """Says why movies were recommended, from the models that recommended them.

    Args:
        recommender: Of the release.

    Attributes:
        release: The release.
    """

    def __init__(self, recommender: Recommender) -> None:
        self.release: Final = recommender.release
        self._recommender = recommender
        self._likings = Likings.of_release(self.release, LIKED_SHARE * self.release.highest_rating)

    @cached_property
    def _centre(self) -> NDArray[np.float32]:
        """The mean vector of the catalogue."""
        centre: NDArray[np.float32] = self.release.movie_vectors.mean(axis=0)
        return centre

    def explain(self, recommended: Recommended) -> list[Evidence] | None:
        """Why each movie of an answer was recommended.

        Args:
            recommended: An answer of the same release.

        Returns:
            One for each of its movies; None where the models say nothing of single ratings: nothing is known
            of the user, or the release was made without what this takes.
        """
        online, grounds = self._recommender.online, recommended.grounds
        if online is None or grounds is None or grounds.asking.vector is None or not recommended.movies:
            return None
        rated = grounds.asking.rated
        if not len(rated.positions):
            return None
        shares = online.shares(grounds.asking.position, rated.positions, rated.ratings, rated.timestamps)
        second = self._recommender.re_ranking if recommended.strategy == "two_stage" else None
        if shares is None or (second is not None and second.weights is None):
            return None
        movies = self.release.movie_positions(np.array([movie.movie_id for movie in recommended.movies]))
        scores = np.array([movie.score for movie in recommended.movies], np.float32)
        if second is None:
            added = self._by_vector(shares, grounds.asking, movies)
        else:
            added = self._by_both(shares, grounds, second, movies, scores)
        return self._evidence(grounds.asking, movies, scores, added)

    def _by_vector(self, shares: NDArray[np.float32], asking: Asking, movies: NDArray[np.int64]) -> _Added:
        from_centre = (self.release.movie_vectors[movies] - self._centre).T
        by_rated = shares @ from_centre
        assert asking.vector is not None
        profile = asking.vector @ from_centre - by_rated.sum(axis=0)
        base = np.full(len(movies), asking.vector @ self._centre, np.float32)
        return _Added(by_rated, np.zeros_like(by_rated), {"profile": profile, "base": base})

    def _by_both(
        self,
        shares: NDArray[np.float32],
        grounds: Grounds,
        second: ReRanking,
        movies: NDArray[np.int64],
        scores: NDArray[np.float32],
    ) -> _Added:
        asking, candidates = grounds.asking, grounds.candidates
        rated, count = asking.rated, len(asking.rated.positions)
        history = by_position.History(np.array([0, count]), rated.positions, rated.ratings)
        describing = second.ranking.features
        features = describing.of(history, candidates[np.newaxis], grounds.retrieval_scores[np.newaxis])
        assert second.weights is not None
        order = np.argsort(candidates)
        place = order[np.searchsorted(candidates, movies, sorter=order)]
        weights = {name: values[0, place] for name, values in second.weights(**features).items()}
        parts = {
            name: weight * (features[name][0, place] - features[name][0].mean())
            for name, weight in weights.items()
        }
        parts["base"] = scores - sum(parts.values())

        centre = self.release.movie_vectors[candidates].mean(axis=0)
        from_centre = (self.release.movie_vectors[movies] - centre).T
        by_retrieval = (shares @ from_centre) * weights[RETRIEVAL_SCORE]

        above_mean = rated.ratings - rated.ratings.mean()
        by_neighbours = np.zeros_like(by_retrieval)
        for number, neighbours in enumerate(describing.neighbours):
            between = neighbours.weights_between(rated.positions, candidates)
            strength = between[:, place] - between.mean(axis=1, keepdims=True)
            by_neighbours += strength * np.outer(neighbours.counts(history), weights[f"evidence_{number}"])
            if number == 0:
                by_neighbours += strength * np.outer(above_mean, weights["liked_evidence"])
            del parts[f"evidence_{number}"]
        del parts["liked_evidence"]
        return _Added(
            by_retrieval,
            by_neighbours,
            {"profile": parts.pop(RETRIEVAL_SCORE) - by_retrieval.sum(axis=0), **parts},
        )

    def _evidence(
        self, asking: Asking, movies: NDArray[np.int64], scores: NDArray[np.float32], added: _Added
    ) -> list[Evidence]:
        rated = asking.rated
        total = added.by_retrieval + added.by_neighbours
        strongest = np.argsort(-total, axis=0, kind="stable")[:NAMED]
        from_rating = liked_from(self.release, rated.ratings)
        described: dict[int, Movie] = {}

        def movie_at(position: int) -> Movie:
            if position not in described:
                described[position] = self.release.movie(int(self.release.movie_ids[position]))
            return described[position]

        found = []
        for column, position in enumerate(movies.tolist()):
            movie = movie_at(position)
            chosen = [row for row in strongest[:, column].tolist() if total[row, column] > 0]
            likings = self._likings.of(position, rated.positions[chosen].tolist())
            grounds = []
            for row, people in zip(chosen, likings, strict=True):
                other = movie_at(int(rated.positions[row]))
                grounds.append(
                    RatedGround(
                        movie=other,
                        rating=float(rated.ratings[row]),
                        liked=bool(rated.ratings[row] >= from_rating),
                        by_retrieval=float(added.by_retrieval[row, column]),
                        by_neighbours=float(added.by_neighbours[row, column]),
                        shared_genres=tuple(genre for genre in movie.genres if genre in other.genres),
                        years_apart=_years_apart(movie, other),
                        people=people,
                    )
                )
            named = sum(ground.contribution for ground in grounds)
            found.append(
                Evidence(
                    movie=movie,
                    score=float(scores[column]),
                    grounds=tuple(grounds),
                    other_ratings=float(total[:, column].sum()) - named,
                    parts={name: float(values[column]) for name, values in added.parts.items()},
                )
            )
        return found


def _years_apart(one: Movie, other: Movie) -> int | None:
    if one.release_year is None or other.release_year is None:
        return None
    return abs(one.release_year - other.release_year)
