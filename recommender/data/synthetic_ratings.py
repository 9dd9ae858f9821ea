"""Made-up ratings of a block of users: what they watch, when they rate it, how many stars they give."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.data.synthetic_population import CIRCLES_A_USER, LAST_RATING, Population, Users

HALF_STARS_SINCE: Final = 1_045_008_000
"""2003-02-12, Unix s: before, MovieLens took whole stars only."""

_OF_EACH_STAR: Final = np.array([1.57, 3.10, 1.60, 6.56, 5.05, 19.6, 12.7, 26.6, 8.8, 14.5])
"""Percent of ratings from 0.5 to 5.0 in MovieLens 25M."""
_OF_EACH_WHOLE_STAR: Final = np.array([5.0, 11.0, 28.5, 33.5, 22.0])
"""Percent from 1 to 5, of those from before there were half stars."""

_LEAST_WEIGHT: Final = np.float32(1e-30)


@dataclass(frozen=True)
class RatedMovies:
    """Ratings of some users, ordered by user and movie, before they are rounded to stars."""

    users: NDArray[np.int64]
    """int64 [ratings]: positions of users."""
    movies: NDArray[np.int64]
    """int64 [ratings]: positions of movies."""
    timestamps: NDArray[np.int64]
    """int64 [ratings]: Unix s."""
    pleasure: NDArray[np.float32]
    """float32 [ratings]: how much the user liked the movie."""

    @property
    def early(self) -> NDArray[np.bool_]:
        """Which are from before there were half stars: bool [ratings]."""
        return self.timestamps < HALF_STARS_SINCE


class StarScale:
    """From pleasure to stars, so that each is given as often as in MovieLens.

    Args:
        pleasure: float32 [ratings], of ratings like those that are to be given stars.
        early: the share of these from before there were half stars.
    """

    def __init__(self, pleasure: NDArray[np.float32], early: float) -> None:
        whole = _OF_EACH_WHOLE_STAR / _OF_EACH_WHOLE_STAR.sum()
        half = _OF_EACH_STAR / _OF_EACH_STAR.sum()
        half[1::2] = np.maximum(half[1::2] - early * whole, 0)
        self._whole = _bounds(pleasure, whole)
        self._half = _bounds(pleasure, half / half.sum())

    def halves(self, rated: RatedMovies) -> NDArray[np.int64]:
        """The ratings in half stars, from 1 to 10: int64 [ratings]."""
        whole, half = (np.searchsorted(bounds, rated.pleasure) for bounds in (self._whole, self._half))
        return np.where(rated.early, 2 + 2 * whole, 1 + half)


def _bounds(pleasure: NDArray[np.float32], shares: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.quantile(pleasure, np.minimum(np.cumsum(shares)[:-1], 1)).astype(np.float32)


def rate(rng: np.random.Generator, population: Population, start: int, stop: int) -> RatedMovies:
    """Make up all ratings of users `start` to `stop`.

    Memory is that of these ratings and of one row of movies.
    """
    keys = _watched(rng, population, start, stop)
    users, movies = np.divmod(keys, len(population.movies.ids))
    timestamps = _timestamps(rng, population, start, stop, users, movies)
    users += start
    affinity = np.zeros(len(users), np.float32)
    for ours, theirs in zip(population.users.factors.T, population.movies.factors.T, strict=True):
        affinity += ours[users] * theirs[movies]
    pleasure = 0.45 * affinity + 0.65 * rng.standard_normal(len(users), dtype=np.float32)
    pleasure += population.users.generosity[users] + population.movies.quality[movies]
    return RatedMovies(users, movies, timestamps, pleasure)


def _watched(rng: np.random.Generator, population: Population, start: int, stop: int) -> NDArray[np.int64]:
    """Who watched what: int64 [ratings], ``(user - start) * movies + movie``, ascending, none twice.

    Users pick movies, some of them again, until they have enough. Who rates so many that more picks would
    be needed than there are movies has all movies drawn for at once.
    """
    n_movies = len(population.movies.ids)
    found: list[NDArray[np.int64]] = []
    pending = np.arange(start, stop)
    picks = 2
    while len(pending):
        drawing = picks * population.users.activity[pending] >= n_movies
        found.extend(
            (user - start) * n_movies + _drawn_at_once(rng, population, user) for user in pending[drawing]
        )
        picked, pending = _picked(rng, population, pending[~drawing], picks)
        found.append(picked - start * n_movies)
        picks *= 2
    return np.sort(np.concatenate(found))


def _picked(
    rng: np.random.Generator, population: Population, users: NDArray[np.int64], picks: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Let users pick movies, so many times as many as they need.

    Returns:
        ``user * movies + movie`` of those who have enough, and the users who have not.
    """
    if not len(users):
        return users, users
    everybody, n_movies = population.users, len(population.movies.ids)
    wanted = everybody.activity[users]
    # By position in `users`: first what each is sure to rate, then what he picks.
    n_first = np.diff(population.first_splits)[users]
    first_rows = _ranges(population.first_splits[users], n_first)
    rows = np.repeat(np.arange(len(users)), wanted * picks)
    picked = _pick(rng, population, users[rows])
    rows = np.concatenate([np.repeat(np.arange(len(users)), n_first), rows])
    movies = np.concatenate([population.first_movies[first_rows], picked])

    in_time = population.movies.available[movies] <= everybody.ends[users[rows]]
    keys, first_places = np.unique((rows * n_movies + movies)[in_time], return_index=True)
    # The order of picking decides who gets in.
    order = np.argsort((keys // n_movies) * len(rows) + first_places)
    keys = keys[order]
    rows = keys // n_movies
    n_distinct = np.bincount(rows, minlength=len(users))
    position = np.arange(len(rows)) - (np.cumsum(n_distinct) - n_distinct)[rows]
    enough = n_distinct >= wanted
    kept = enough[rows] & (position < wanted[rows])
    return users[rows[kept]] * n_movies + keys[kept] % n_movies, users[~enough]


def _pick(rng: np.random.Generator, population: Population, users: NDArray[np.int64]) -> NDArray[np.int64]:
    """One movie for each of these users, from one of his circles of taste: int64, as long."""
    shares = population.users.shares
    uniform = rng.random(len(users), dtype=np.float32)
    which = np.zeros(len(users), np.int64)
    bound = np.zeros(len(users), np.float32)
    for circle in range(CIRCLES_A_USER - 1):
        bound += shares[users, circle]
        which += uniform > bound
    circles = population.users.circles[users, which]
    points = circles + rng.random(len(users))
    # Looking up in order is many times faster than jumping about in the table.
    order = np.argsort(points)
    movies = np.empty(len(users), np.int64)
    movies[order] = np.searchsorted(population.movies.cumulated, points[order], side="right")
    return movies - circles * len(population.movies.ids)


def _drawn_at_once(rng: np.random.Generator, population: Population, user: int) -> NDArray[np.int64]:
    """As many different movies as the user rates: int64 [activity].

    The smallest of exponential draws, each divided by its weight, are a draw without replacement.
    """
    users, movies = population.users, population.movies
    weights = np.zeros(len(movies.ids), np.float32)
    for circle, share in zip(users.circles[user], users.shares[user], strict=True):
        weights += share * movies.chances[circle]
    # However unlikely a movie is, it comes sooner than one that is not there yet.
    arrival = rng.standard_exponential(len(weights), dtype=np.float32) / np.maximum(weights, _LEAST_WEIGHT)
    arrival[movies.available > users.ends[user]] = np.inf
    arrival[population.first_movies[slice(*population.first_splits[user : user + 2])]] = -1
    n_wanted = users.activity[user]
    movies_drawn: NDArray[np.int64] = np.argpartition(arrival, n_wanted - 1)[:n_wanted]
    return movies_drawn


def _timestamps(
    rng: np.random.Generator,
    population: Population,
    start: int,
    stop: int,
    rows: NDArray[np.int64],
    movies: NDArray[np.int64],
) -> NDArray[np.int64]:
    """When each movie was rated: in one of the user's sessions since it came out, seconds apart.

    Args:
        rng: everything is drawn from it.
        population: users and movies.
        start: first user.
        stop: the user after the last.
        rows: int64 [ratings]: positions of users, counted from `start`, ascending.
        movies: int64 [ratings]: positions of movies.

    Returns:
        int64 [ratings], Unix s.
    """
    users = population.users
    first_session = np.append(0, np.cumsum(users.sessions[start:stop]))
    session_begins = _session_begins(rng, users, start, stop, first_session)
    session_rows = np.repeat(np.arange(stop - start), users.sessions[start:stop])
    earliest = np.searchsorted(
        (session_rows << 32) + session_begins, (rows << 32) + population.movies.available[movies].clip(0)
    )
    n_left = first_session[rows + 1] - earliest
    # Later sessions are shorter.
    session = earliest + (n_left * rng.random(len(rows)) ** 1.5).astype(np.int64)
    seconds_a_rating = rng.lognormal(np.log(16), 0.9, size=stop - start)
    lengths = np.bincount(session, minlength=len(session_begins))[session] * seconds_a_rating[rows]
    moments: NDArray[np.int64] = session_begins[session] + (lengths * rng.random(len(rows))).astype(np.int64)
    return moments.clip(max=LAST_RATING)


def _session_begins(
    rng: np.random.Generator, users: Users, start: int, stop: int, first_session: NDArray[np.int64]
) -> NDArray[np.int64]:
    """When the sessions of users begin, in order, from the user's first to his last: int64 [sessions]."""
    rows = np.repeat(np.arange(stop - start), users.sessions[start:stop])
    fractions = np.sort(rows + rng.random(len(rows))) - rows
    fractions[first_session[1:] - 1] = 1
    fractions[first_session[:-1]] = 0
    begins, ends = users.begins[start:stop][rows], users.ends[start:stop][rows]
    moments: NDArray[np.int64] = begins + (fractions * (ends - begins)).astype(np.int64)
    return moments


def _ranges(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The numbers from each start on, one after the other."""
    before = np.cumsum(lengths) - lengths
    numbers: NDArray[np.int64] = np.arange(lengths.sum()) + np.repeat(starts - before, lengths)
    return numbers
