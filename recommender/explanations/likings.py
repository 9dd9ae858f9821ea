"""What people who liked one movie thought of another."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from recommender.release import Release

MOST_RATINGS: Final = 2_000_000
"""Ratings that are looked at: those of the first users. More would take a service's memory and time to
start, and say the same."""
FEWEST: Final = 5
"""People of whom something can be said."""


@dataclass(frozen=True, slots=True)
class Liking:
    """Of the people who liked one movie and rated another: how many liked that, too."""

    rated: int
    """How many liked the one and rated the other."""
    liked: int
    """How many of them liked both."""


@dataclass(frozen=True)
class Likings:
    """Who rated each movie, and who liked it. Made once a release.

    Attributes:
        n_people: People whose ratings are looked at.
        rated: Who rated each movie.
        liked: Who liked it: at their own average or above, and well at that.
    """

    n_people: int
    rated: "_PeopleByMovie"
    liked: "_PeopleByMovie"

    @classmethod
    def of_release(cls, release: Release, liked_from: float, most_ratings: int = MOST_RATINGS) -> Self:
        """Read them from a release's histories.

        Args:
            release: Whose ratings.
            liked_from: What was rated lower nobody liked.
            most_ratings: Ratings that are looked at.
        """
        counts = release.rating_counts
        n_people = int(np.searchsorted(np.cumsum(counts), most_ratings, side="right"))
        counts = counts[:n_people]
        history = release.histories(0, n_people)
        person = np.repeat(np.arange(n_people, dtype=np.int32), counts)
        sums = np.bincount(person, history.ratings, n_people)
        means = (sums / np.maximum(counts, 1)).astype(np.float32)
        liked = history.ratings >= np.maximum(means, liked_from)[person] - 1e-4
        movies = release.movie_positions(history.movie_ids)
        n_movies = len(release.movie_ids)
        return cls(
            n_people,
            _PeopleByMovie.of(movies, person, n_movies),
            _PeopleByMovie.of(movies[liked], person[liked], n_movies),
        )

    def of(self, movie: int, others: Iterable[int]) -> list[Liking | None]:
        """What those who liked some movies thought of another one.

        Args:
            movie: Position of the movie that they are asked about.
            others: Positions of the movies that they liked.

        Returns:
            One for each of `others`; None where fewer than `FEWEST` rated both.
        """
        thought = np.zeros(self.n_people, np.int8)
        thought[self.rated.at(movie)] = 1
        thought[self.liked.at(movie)] = 2
        found: list[Liking | None] = []
        for other in others:
            of_them = np.bincount(thought[self.liked.at(other)], minlength=3).tolist()
            liking = Liking(of_them[1] + of_them[2], of_them[2])
            found.append(liking if liking.rated >= FEWEST else None)
        return found


@dataclass(frozen=True)
class _PeopleByMovie:
    """Lists of people: movie `i` has those from `offsets[i]` to before `offsets[i + 1]`."""

    offsets: list[int]
    people: NDArray[np.int32]

    @classmethod
    def of(cls, movies: NDArray[np.int64], person: NDArray[np.int32], n_movies: int) -> Self:
        counts = np.bincount(movies, minlength=n_movies)
        offsets = np.concatenate([[0], np.cumsum(counts)]).tolist()
        return cls(offsets, person[np.argsort(movies, kind="stable")])

    def at(self, movie: int) -> NDArray[np.int32]:
        return self.people[self.offsets[movie] : self.offsets[movie + 1]]
