"""Ratings that are made up but can be learned from: tests need them, and sizes that can't be fetched."""

import logging
from pathlib import Path
from typing import Final, NamedTuple, Self

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, model_validator

from recommender.configuration import Configuration

_logger = logging.getLogger(__name__)

_GENRES: Final = np.array(
    [
        "Action",
        "Adventure",
        "Animation",
        "Children",
        "Comedy",
        "Crime",
        "Documentary",
        "Drama",
        "Fantasy",
        "Film-Noir",
        "Horror",
        "Musical",
        "Mystery",
        "Romance",
        "Sci-Fi",
        "Thriller",
        "War",
        "Western",
    ]
)
# fmt: off
_ADJECTIVES: Final = (
    "Silent", "Crimson", "Broken", "Golden", "Hidden", "Last", "Distant", "Frozen",
    "Burning", "Electric", "Forgotten", "Velvet", "Hollow", "Restless", "Savage", "Gentle",
    "Midnight", "Paper", "Scarlet", "Secret", "Shattered", "Stolen", "Sudden", "Winter",
    "Wild", "Lonely", "Invisible", "Endless", "Emerald", "Crooked", "Borrowed", "Wandering",
)
_NOUNS: Final = (
    "Harbor", "River", "Garden", "Kingdom", "Station", "Promise", "Letter", "Mirror",
    "Orchard", "Stranger", "Symphony", "Voyage", "Witness", "Empire", "Horizon", "Lighthouse",
    "Carnival", "Shadow", "Storm", "Bridge", "Detective", "Summer", "Island", "Clockmaker",
    "Frontier", "Masquerade", "Neighbor", "Waltz", "Outlaw", "Planet", "Circus", "Daughter",
)
# fmt: on

_N_FACTORS: Final = 4
_FIRST_FILM_YEAR: Final = 1930
_LAST_FILM_YEAR: Final = 1999
_FIRST_RATING: Final = 946_684_800
"""2000-01-01, so that nobody rates a movie before it was made."""
_RATING_YEARS: Final = 15
_DAY_SECONDS: Final = 86_400

_TASTE_IN_CHOICE: Final = 2.5
"""How much taste decides, beside popularity, what a user watches."""
_CELLS_AT_ONCE: Final = 4_000_000
"""Bounds memory: users x movies whose taste is computed together."""


class SyntheticConfig(Configuration):
    """How many made-up users, movies and ratings there are."""

    n_users: int = Field(default=200, ge=1)
    """Number of users; each rates at least one movie."""
    n_movies: int = Field(default=300, ge=1)
    """Number of movies; the least popular may stay without a rating."""
    n_ratings: int = Field(default=8_000, ge=1)
    """Number of ratings: at least one for each user, at most half of all pairs of user and movie."""
    seed: int = Field(default=0, ge=0)
    """The same seed gives the same files."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        most = max(self.n_users, self.n_users * self.n_movies // 2)
        if not self.n_users <= self.n_ratings <= most:
            raise ValueError(
                f"n_ratings is {self.n_ratings:,}: {self.n_users:,} users and {self.n_movies:,} movies "
                f"take from {self.n_users:,} to {most:,}"
            )
        return self


class _Taste(NamedTuple):
    """The planted truth: what every user likes and every movie offers."""

    users: NDArray[np.float32]
    """float32 [n_users, factors]; affinity is the dot product, about 1 in standard deviation."""
    movies: NDArray[np.float32]
    """float32 [n_movies, factors]."""
    popularity: NDArray[np.float32]
    """float32 [n_movies]: logarithm of how often a movie is watched, long-tailed."""


def generate(config: SyntheticConfig, seed: int, folder: Path) -> None:
    """Write `ratings.csv` and `movies.csv`, laid out as those of MovieLens 25M, into a folder.

    Movies draw their factors from their genres, users like some genres and not others. What a user watches
    follows popularity and taste, the half-star rating follows taste and how generous user and movie are. So a
    model that finds the factors beats one that knows only popularity.

    Args:
        config: how many users, movies and ratings.
        seed: the same seed gives the same files.
        folder: where to write; made if it is not there.
    """
    rng = np.random.default_rng(seed)
    has_genre = _genres(rng, config.n_movies)
    taste = _taste(rng, has_genre, config.n_users)
    users, movies = _watched(rng, taste, _activity(rng, config))
    ratings = _ratings(rng, taste, users, movies)
    timestamps = _timestamps(rng, users, config.n_users)
    titles = _titles(rng, config.n_movies)
    genres = ["|".join(_GENRES[row]) for row in has_genre]
    # Popular movies should not be those with small ids.
    movie_ids = 1 + rng.permutation(config.n_movies)
    folder.mkdir(parents=True, exist_ok=True)
    _write(
        pa.table(
            {"userId": users + 1, "movieId": movie_ids[movies], "rating": ratings, "timestamp": timestamps}
        ),
        "userId, movieId",
        folder / "ratings.csv",
    )
    _write(
        pa.table({"movieId": movie_ids, "title": titles, "genres": genres}), "movieId", folder / "movies.csv"
    )
    _logger.info("Made up %d ratings of %d movies by %d users", len(users), config.n_movies, config.n_users)


def _genres(rng: np.random.Generator, n_movies: int) -> NDArray[np.bool_]:
    """One to three genres a movie, some genres far more common: bool [n_movies, genres]."""
    commonness = np.log(rng.permutation(1 / np.arange(1, len(_GENRES) + 1)))
    order = np.argsort(-(commonness + rng.gumbel(size=(n_movies, len(_GENRES)))), axis=1)
    has_genre = np.zeros((n_movies, len(_GENRES)), dtype=np.bool_)
    kept = np.arange(len(_GENRES)) < rng.integers(1, 4, size=(n_movies, 1))
    np.put_along_axis(has_genre, order, kept, axis=1)
    return has_genre


def _taste(rng: np.random.Generator, has_genre: NDArray[np.bool_], n_users: int) -> _Taste:
    n_movies = len(has_genre)
    genre_factors = rng.normal(size=(len(_GENRES), _N_FACTORS))
    movies = has_genre @ genre_factors / np.sqrt(has_genre.sum(axis=1, keepdims=True))
    movies += 0.3 * rng.normal(size=movies.shape)
    movies /= np.sqrt(_N_FACTORS)
    users = rng.normal(size=(n_users, _N_FACTORS))
    popularity = rng.permutation(-1.1 * np.log(np.arange(1, n_movies + 1) + 5))
    return _Taste(*(array.astype(np.float32) for array in (users, movies, popularity)))


def _activity(rng: np.random.Generator, config: SyntheticConfig) -> NDArray[np.int64]:
    """How many movies each user rates, long-tailed, adding up exactly: int64 [n_users]."""
    most = max(1, int(0.8 * config.n_movies))
    weights = rng.lognormal(sigma=1.0, size=config.n_users)
    # One each, the rest by weight; what goes beyond a user's most is handed to the others, in rounds.
    counts = np.ones(config.n_users, dtype=np.int64)
    while (rest := config.n_ratings - int(counts.sum())) > 0:
        open_weights = np.where(counts < most, weights, 0)
        counts = np.minimum(most, counts + rng.multinomial(rest, open_weights / open_weights.sum()))
    return counts


def _watched(
    rng: np.random.Generator, taste: _Taste, activity: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which user watched which movie, as two columns of positions, each pair at most once.

    Adding Gumbel noise to logits and taking the largest draws without replacement from their softmax.
    """
    at_once = max(1, _CELLS_AT_ONCE // len(taste.movies))
    users, movies = [], []
    for start in range(0, len(activity), at_once):
        wanted = activity[start : start + at_once]
        affinity = taste.users[start : start + at_once] @ taste.movies.T
        keys = taste.popularity + _TASTE_IN_CHOICE * affinity
        keys -= np.log(rng.standard_exponential(size=keys.shape, dtype=np.float32))
        order = np.argsort(-keys, axis=1)[:, : wanted.max()]
        chosen = np.arange(order.shape[1]) < wanted[:, None]
        users.append(np.repeat(np.arange(start, start + len(wanted)), wanted))
        movies.append(order[chosen])
    return np.concatenate(users), np.concatenate(movies)


def _ratings(
    rng: np.random.Generator, taste: _Taste, users: NDArray[np.int64], movies: NDArray[np.int64]
) -> NDArray[np.float64]:
    generosity = 0.35 * rng.normal(size=len(taste.users))
    quality = 0.35 * rng.normal(size=len(taste.movies))
    affinity = np.einsum("rf,rf->r", taste.users[users], taste.movies[movies])
    stars = 3.0 + generosity[users] + quality[movies] + 0.6 * affinity + 0.4 * rng.normal(size=len(users))
    half_stars: NDArray[np.float64] = np.clip(np.round(2 * stars) / 2, 0.5, 5.0)
    return half_stars


def _timestamps(rng: np.random.Generator, users: NDArray[np.int64], n_users: int) -> NDArray[np.int64]:
    """Every user starts on some day and then rates for weeks or years: int64 [n_ratings]."""
    starts = _FIRST_RATING + rng.uniform(0, 0.8 * _RATING_YEARS * 365 * _DAY_SECONDS, size=n_users)
    spans = _DAY_SECONDS * rng.lognormal(mean=3.0, sigma=1.5, size=n_users)
    spans = np.minimum(spans, 0.2 * _RATING_YEARS * 365 * _DAY_SECONDS)
    return (starts[users] + spans[users] * rng.uniform(size=len(users))).astype(np.int64)


def _titles(rng: np.random.Generator, n_movies: int) -> list[str]:
    """Titles such as "The Silent Harbor (1987)"; once all are taken, sequels."""
    plain = [f"The {adjective} {noun}" for adjective in _ADJECTIVES for noun in _NOUNS]
    order = rng.permutation(len(plain))
    # More recent films are more common.
    ages = rng.triangular(0, 0, _LAST_FILM_YEAR - _FIRST_FILM_YEAR, size=n_movies).astype(np.int64)
    titles = []
    for position, age in enumerate(ages):
        part, index = divmod(position, len(plain))
        sequel = f" {part + 1}" if part else ""
        titles.append(f"{plain[order[index]]}{sequel} ({_LAST_FILM_YEAR - age})")
    return titles


def _write(table: pa.Table, order: str, path: Path) -> None:
    with duckdb.connect() as connection:
        connection.register("made_up", table)
        connection.table("made_up").order(order).write_csv(str(path))
