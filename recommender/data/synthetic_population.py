"""The planted truth behind made-up ratings: what movies offer, what users like, how much and when."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender.data.synthetic_catalogue import Catalogue

FIRST_RATING: Final = 789_652_009
"""1995-01-09, Unix s: the first rating of MovieLens 25M."""
LAST_RATING: Final = 1_574_327_703
"""2019-11-21, Unix s: its last."""
_DAY: Final = 86_400

# fmt: off
_RATINGS_A_YEAR: Final = np.array([
    0.01, 1.43, 0.63, 0.27, 1.06,  # 1995 to 1999
    1.74, 1.06, 0.78, 0.92, 1.05, 1.60, 1.21, 1.10, 1.21, 0.99,  # 2000 to 2009
    0.98, 0.84, 0.79, 0.64, 0.59, 1.65, 1.74, 1.69, 1.31, 1.00,  # 2010 to 2019
])
"""In millions, about: when users begin to rate."""
# fmt: on

_LEAST_ACTIVITY: Final = 20
"""MovieLens leaves out users with fewer ratings."""
_ACTIVITY_SPREAD: Final = 1.42
"""Of the logarithm of what a user rates beyond the least."""
_LARGEST_SHARE: Final = 0.8
"""Of the movies there are, the most that one user rates."""
_MOST_IN_A_SESSION: Final = 300

_TOP_SHARE: Final = 0.5
"""Of all users, the share who rate the most popular movie, in every MovieLens."""
# fmt: off
_TAIL: Final = np.array([
    (1e-5, 81_500), (5e-5, 76_000), (1.7e-4, 59_000), (3.5e-4, 51_000), (1e-3, 36_000), (0.01, 10_700),
    (0.03, 3_400), (0.05, 1_550), (0.1, 330), (0.25, 33), (0.5, 5), (0.75, 0.9), (1.0, 0.15),
])
"""At such a share from the top a movie has about so many ratings in MovieLens 25M, beyond its first."""
# fmt: on
_OLD_IDS_ARE_POPULAR: Final = 5.0
"""How much sooner a movie with a small id is among the popular; 0 is not at all."""

_N_FACTORS: Final = 8
_MOST_CIRCLES: Final = 64
_USERS_A_CIRCLE: Final = 16
"""At least, so that small data sets can be learned from, too."""
CIRCLES_A_USER: Final = 2
_SHARE_EVENNESS: Final = 0.5
"""Of a user's circles: below 1 one of them prevails."""
_MAIN_SHARE: Final = 0.82
"""Of the circle that prevails, on average: 1/2 + 1/pi."""
_TASTE_IN_CHOICE: Final = 3.0
"""How much taste decides, beside popularity, what a user watches."""
_ROUNDS_OF_FITTING: Final = 6


@dataclass(frozen=True)
class Movies:
    """What every movie offers."""

    ids: NDArray[np.int64]
    """int64 [movies], ascending."""
    factors: NDArray[np.float32]
    """float32 [movies, factors]; affinity, the dot product with a user's, is about 1 in deviation."""
    quality: NDArray[np.float32]
    """float32 [movies]: stars above or below the average."""
    available: NDArray[np.int64]
    """int64 [movies]: Unix s of the first of January of the release year; nobody rates it before."""
    chances: NDArray[np.float32]
    """float32 [circles, movies]: how likely a pick of somebody in the circle is this movie; rows sum to 1."""
    cumulated: NDArray[np.float64]
    """float64 [circles * movies]: the number of the circle plus the chances up to and with this movie."""


@dataclass(frozen=True)
class Users:
    """What every user likes and does."""

    activity: NDArray[np.int64]
    """int64 [users]: number of ratings."""
    circles: NDArray[np.int64]
    """int64 [users, 2]: circles of taste the user takes part in."""
    shares: NDArray[np.float32]
    """float32 [users, 2]: how much in each, adding up to 1."""
    factors: NDArray[np.float32]
    """float32 [users, factors]."""
    generosity: NDArray[np.float32]
    """float32 [users]: stars above or below the average."""
    begins: NDArray[np.int64]
    """int64 [users]: Unix s at which the first session begins."""
    ends: NDArray[np.int64]
    """int64 [users]: Unix s at which the last session begins."""
    sessions: NDArray[np.int64]
    """int64 [users]: number of sessions."""


class Population(NamedTuple):
    """Movies, users, and who is sure to rate which movie, so that no movie stays without a rating."""

    movies: Movies
    users: Users
    first_movies: NDArray[np.int64]
    """int64 [at most movies]: positions of movies, ordered by the user who is sure to rate them."""
    first_splits: NDArray[np.int64]
    """int64 [users + 1]: where each user's part of `first_movies` begins."""


def choose_movies(rng: np.random.Generator, catalogue: Catalogue, n_movies: int) -> NDArray[np.int64]:
    """Positions of the movies that are rated, from most to least popular: int64 [n_movies].

    Small ids are mostly those of popular movies, as MovieLens lists what many ask for first.
    """
    place = np.linspace(0, 1, len(catalogue.movie_ids))
    order: NDArray[np.int64] = np.argsort(
        _OLD_IDS_ARE_POPULAR * np.sqrt(place) - rng.normal(size=len(place)), kind="stable"
    )
    order = order[catalogue.release_years[order] <= _year(LAST_RATING)]
    return order[:n_movies]


def plant(
    rng: np.random.Generator, catalogue: Catalogue, ranked: NDArray[np.int64], n_users: int, n_ratings: int
) -> Population:
    """Make up what movies offer and what users like and do.

    Args:
        rng: everything is drawn from it.
        catalogue: all movies there are.
        ranked: int64 [movies]: positions in the catalogue of those that are rated, the most popular first.
        n_users: number of users.
        n_ratings: number of ratings of all of them together.
    """
    activity = _activity(rng, n_users, len(ranked), n_ratings)
    by_id = np.argsort(ranked)
    counts = _popularity(len(ranked), n_users, n_ratings)[by_id]
    n_circles = min(_MOST_CIRCLES, 1 + n_users // _USERS_A_CIRCLE)
    circle_factors = rng.normal(size=(n_circles, _N_FACTORS))
    movies = _movies(rng, catalogue, ranked[by_id], counts, activity, circle_factors)
    users = _users(rng, movies, activity, circle_factors)
    return Population(movies, users, *_first_ratings(rng, movies, users))


def _activity(rng: np.random.Generator, n_users: int, n_movies: int, n_ratings: int) -> NDArray[np.int64]:
    """How many movies each user rates, long-tailed, adding up exactly: int64 [n_users]."""
    most = max(1, int(_LARGEST_SHARE * n_movies))
    weights = rng.lognormal(sigma=_ACTIVITY_SPREAD, size=n_users)
    # The least each, the rest by weight; what goes beyond a user's most is handed to the others, in rounds.
    counts = np.full(n_users, max(1, min(_LEAST_ACTIVITY, n_ratings // n_users // 4)))
    while (rest := n_ratings - int(counts.sum())) > 0:
        open_weights = np.where(counts < most, weights, 0)
        counts = np.minimum(most, counts + rng.multinomial(rest, open_weights / open_weights.sum()))
    return counts


def _popularity(n_movies: int, n_users: int, n_ratings: int) -> NDArray[np.float64]:
    """About how many ratings each movie should have, the most popular first: float64 [n_movies].

    They are as popular as so large a head of MovieLens 25M in which, if half of the users rate the first
    movie, all movies together have all ratings: smaller data sets are those with the better known movies.
    """
    places = (np.arange(n_movies) + 0.5) / n_movies
    heads = np.geomspace(_TAIL[0, 0], 1, 161)
    means = np.array([_ratings_at(places * head).mean() for head in heads])
    wanted = n_ratings / n_movies * _ratings_at(heads[:1])[0] / (_TOP_SHARE * n_users)
    counts = _ratings_at(places * np.interp(-wanted, -means, heads))
    counts *= n_ratings / counts.sum()
    return counts


def _ratings_at(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many ratings the movie at such a share from the top has in MovieLens 25M."""
    return np.asarray(np.exp(np.interp(np.log(share), *np.log(_TAIL).T)))


def _movies(
    rng: np.random.Generator,
    catalogue: Catalogue,
    rows: NDArray[np.int64],
    counts: NDArray[np.float64],
    activity: NDArray[np.int64],
    circle_factors: NDArray[np.float64],
) -> Movies:
    has_genre = catalogue.has_genre[rows]
    genre_factors = rng.normal(size=(has_genre.shape[1], _N_FACTORS))
    n_genres_of_each = np.maximum(1, has_genre.sum(axis=1, keepdims=True))
    factors = np.einsum("mg,gf->mf", has_genre.astype(float), genre_factors)
    factors = 0.8 * factors / np.sqrt(n_genres_of_each) + 0.6 * rng.normal(size=factors.shape)
    factors /= np.sqrt(_N_FACTORS)
    log_counts = np.log(counts)
    standing = (log_counts - log_counts.mean()) / (log_counts.std() or 1.0)
    quality = 0.2 * standing + 0.3 * rng.normal(size=len(rows))
    # Not by `@`, which may round otherwise where there are more cores.
    taste = np.exp(_TASTE_IN_CHOICE * np.einsum("cf,mf->cm", circle_factors, factors))
    chances = _pick_chances(counts, activity, taste)
    cumulated: NDArray[np.float64] = np.cumsum(chances, axis=1)
    cumulated /= cumulated[:, -1:]
    years = catalogue.release_years[rows]
    years = np.where(years > 0, years, 1970)
    return Movies(
        ids=catalogue.movie_ids[rows],
        factors=factors.astype(np.float32),
        quality=quality.astype(np.float32),
        available=(years - 1970).astype("datetime64[Y]").astype("datetime64[s]").astype(np.int64),
        chances=chances.astype(np.float32),
        cumulated=(cumulated + np.arange(len(circle_factors))[:, None]).ravel(),
    )


def _pick_chances(
    counts: NDArray[np.float64], activity: NDArray[np.int64], taste: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How likely a single pick of somebody in a circle is each movie: float64 [circles, movies].

    A user who picks `n` times has rated a movie of chance `c` with probability ``1 - exp(-n * c)``: those
    who rate a lot have rated all that is popular in their circle, and pick far more often than they rate. So
    chances are fitted in rounds, until each movie has its number of ratings.
    """
    grid = np.geomspace(1e-15, 1, 500)
    picks = np.geomspace(1, 1e9, 60)
    typical = np.quantile(activity, (np.arange(200) + 0.5) / 200)
    wanted = counts / len(activity)
    chances: NDArray[np.float64] = taste * counts
    for _ in range(_ROUNDS_OF_FITTING):
        chances /= chances.sum(axis=1, keepdims=True)
        # Typical users: one in each circle, who also takes part in another.
        mixed = _MAIN_SHARE * chances + (1 - _MAIN_SHARE) * np.roll(chances, 1, axis=0)
        # How often one of them has to pick for so many different movies.
        different = np.array([-np.expm1(-n * mixed[0]).sum() for n in picks])
        needed = np.exp(np.interp(typical, different, np.log(picks)))
        rated = -np.expm1(-np.outer(grid, needed)).mean(axis=1)
        chances *= wanted / np.interp(np.log(mixed), np.log(grid), rated).mean(axis=0)
    chances /= chances.sum(axis=1, keepdims=True)
    return chances


def _users(
    rng: np.random.Generator,
    movies: Movies,
    activity: NDArray[np.int64],
    circle_factors: NDArray[np.float64],
) -> Users:
    n_users = len(activity)
    circles = rng.integers(len(circle_factors), size=(n_users, CIRCLES_A_USER))
    shares = rng.dirichlet([_SHARE_EVENNESS] * CIRCLES_A_USER, size=n_users)
    begins = _moments(rng, n_users)
    # Early on there are few movies: who rates more than that begins later.
    needed = np.minimum(np.ceil(activity / _LARGEST_SHARE).astype(np.int64), len(movies.ids)) - 1
    earliest = np.maximum(np.sort(movies.available)[needed], FIRST_RATING)
    too_early = begins < earliest
    begins[too_early] = rng.integers(earliest[too_early], LAST_RATING - 2 * _DAY)
    # Most users come once or for a few days, some for years.
    sessions = 1 + rng.lognormal(-0.5, 2.5, size=n_users).astype(np.int64)
    sessions = np.maximum(np.minimum(sessions, activity // 2), activity // _MOST_IN_A_SESSION)
    sessions = np.maximum(sessions, 1)
    spans = np.where(sessions > 1, _DAY * rng.lognormal(4.5, 2.3, size=n_users), 0)
    ends = np.minimum(begins + spans, LAST_RATING - 2 * _DAY).astype(np.int64)
    return Users(
        activity=activity,
        circles=circles,
        shares=shares.astype(np.float32),
        factors=np.einsum("uc,ucf->uf", shares, circle_factors[circles]).astype(np.float32),
        generosity=(0.4 * rng.normal(size=n_users)).astype(np.float32),
        begins=begins,
        ends=np.maximum(ends, begins),
        sessions=sessions,
    )


def _moments(rng: np.random.Generator, n_users: int) -> NDArray[np.int64]:
    """Moments between the first and the last rating, as many in each year as MovieLens had ratings."""
    starts = np.arange(1995, 1995 + len(_RATINGS_A_YEAR)) - 1970
    bounds = starts.astype("datetime64[Y]").astype("datetime64[s]").astype(np.int64)
    bounds[0] = FIRST_RATING
    bounds = np.append(bounds, LAST_RATING - 2 * _DAY)
    cumulated = np.append(0, np.cumsum(_RATINGS_A_YEAR / _RATINGS_A_YEAR.sum()))
    return np.interp(rng.random(n_users), cumulated, bounds).astype(np.int64)


def _first_ratings(
    rng: np.random.Generator, movies: Movies, users: Users
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give every movie a user who rates it in any case, mostly one who rates a lot, and whom it came in time.

    At most half of a user's ratings are such, so that with few ratings some movies go without.
    """
    by_end = np.argsort(users.ends, kind="stable")
    before = np.append(0, np.cumsum(users.activity[by_end]))
    low = before[np.searchsorted(users.ends[by_end], movies.available)]
    places = rng.integers(np.minimum(low, before[-1] - 1), before[-1])
    raters = by_end[np.searchsorted(before, places, side="right") - 1]
    order = np.argsort(raters, kind="stable")
    raters = raters[order]
    position = np.arange(len(raters)) - np.searchsorted(raters, raters)
    kept = (position < users.activity[raters] // 2) & (movies.available[order] <= users.ends[raters])
    splits = np.append(0, np.cumsum(np.bincount(raters[kept], minlength=len(users.activity))))
    return order[kept], splits


def _year(moment: int) -> int:
    return int(np.datetime64(moment, "s").astype("datetime64[Y]").astype(np.int64)) + 1970
