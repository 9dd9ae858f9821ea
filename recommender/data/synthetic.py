"""Ratings that are made up but can be learned from: tests need them, and sizes that can't be fetched."""

import logging
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, Self, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, model_validator

from recommender.configuration import Configuration
from recommender.data.files.dialects import LINKS_FILE
from recommender.data.synthetic_catalogue import LINE_END, csv_rows, invent_catalogue, read_catalogue
from recommender.data.synthetic_population import Population, choose_movies, plant
from recommender.data.synthetic_ratings import RatedMovies, StarScale, rate
from recommender.errors import DataError

_logger = logging.getLogger(__name__)

_RATINGS_FILE: Final = "ratings.csv"
_HEADER: Final = b"userId,movieId,rating,timestamp"

_RATINGS_A_BLOCK: Final = 2**18
"""Bounds memory; another number gives other ratings."""
_BLOCKS_IN_SAMPLE: Final = 16
"""On how many the scale of stars is set."""
_MOST_THREADS: Final = 8
"""Bounds memory, too."""
_SECONDS_BETWEEN_REPORTS: Final = 5
_STARS: Final = pa.array([f"{halves / 2:.1f}" for halves in range(11)])

_Result = TypeVar("_Result")


class SyntheticConfig(Configuration):
    """How many made-up users, movies and ratings there are."""

    n_users: int = Field(default=200, ge=1)
    """Number of users; each rates at least one movie, and 20 where there are 80 ratings a user or more."""
    n_movies: int = Field(default=300, ge=1)
    """Number of movies that are rated, at most: where there are few ratings a movie, some get none. Without a
    catalogue these are all the movies of `movies.csv`; with one it lists the whole catalogue."""
    n_ratings: int = Field(default=8_000, ge=1)
    """Number of ratings: at least one for each user, at most half of all pairs of user and movie."""
    seed: int = Field(default=0, ge=0)
    """The same seed gives the same files."""
    catalogue: str | None = None
    """A folder or a .zip with `movies.csv`, and maybe `links.csv`, in the layout of MovieLens 25M: the movies
    to rate. Without it they are invented."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        most = max(self.n_users, self.n_users * self.n_movies // 2)
        if not self.n_users <= self.n_ratings <= most:
            raise ValueError(
                f"n_ratings is {self.n_ratings:,}: {self.n_users:,} users and {self.n_movies:,} movies "
                f"take from {self.n_users:,} to {most:,}"
            )
        return self


def generate(config: SyntheticConfig, seed: int, folder: Path) -> None:
    """Write `ratings.csv` and `movies.csv`, laid out as those of MovieLens 25M, into a folder.

    Movies draw their factors from their genres, users belong to circles of taste. What a user watches follows
    popularity and taste, the half-star rating follows taste and how generous user and movie are. So a model
    that finds the factors beats one that knows only popularity. Activity, popularity, stars and timestamps
    are distributed as in MovieLens 25M, as far as the numbers of users, movies and ratings allow.

    Ratings are made up in blocks of users and written as they come: memory grows with users and movies, not
    with ratings. The files appear under their names when they are complete, `ratings.csv` last.

    Args:
        config: how many users, movies and ratings, and of which catalogue; `links.csv` is written where it
            has one.
        seed: the same seed gives the same files, on any number of cores.
        folder: where to write; made if it is not there.

    Raises:
        DataError: the catalogue cannot be used, or has too few movies.
    """
    started = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    planting, writing = np.random.SeedSequence(seed).spawn(2)
    rng = np.random.default_rng(planting)
    if config.catalogue is None:
        catalogue = invent_catalogue(rng, config.n_movies)
    else:
        catalogue = read_catalogue(Path(config.catalogue).expanduser().absolute())
    ranked = choose_movies(rng, catalogue, config.n_movies)
    if len(ranked) < config.n_movies:
        raise DataError(
            f"The catalogue {config.catalogue} has {len(ranked):,} movies that can be rated, n_movies is "
            f"{config.n_movies:,}. Set n_movies to {len(ranked):,} or less."
        )
    population = plant(rng, catalogue, ranked, config.n_users, config.n_ratings)
    with _replacing(folder / _RATINGS_FILE) as unfinished:
        _write_ratings(population, writing, unfinished)
        # Ratings never stand beside the movies of others.
        for file_name in (_RATINGS_FILE, LINKS_FILE):
            (folder / file_name).unlink(missing_ok=True)
        for file_name, content in catalogue.files.items():
            with _replacing(folder / file_name) as beside:
                beside.write_bytes(content)
    _logger.info(
        "Made up %d ratings of %d movies by %d users in %.1f s",
        *(config.n_ratings, config.n_movies, config.n_users, time.perf_counter() - started),
    )


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A file to write beside another, which takes its name when all went well and else goes."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


class _Block(NamedTuple):
    """Users whose ratings are made up together."""

    start: int
    stop: int
    seed: np.random.SeedSequence

    def rate(self, population: Population) -> RatedMovies:
        return rate(np.random.default_rng(self.seed), population, self.start, self.stop)


def _blocks(activity: NDArray[np.int64], seed: np.random.SeedSequence) -> list[_Block]:
    cumulated = np.cumsum(activity)
    ends = np.searchsorted(cumulated, np.arange(_RATINGS_A_BLOCK, cumulated[-1], _RATINGS_A_BLOCK))
    bounds = np.unique([0, *ends, len(activity)]).tolist()
    return list(map(_Block, bounds[:-1], bounds[1:], seed.spawn(len(bounds) - 1)))


def _write_ratings(population: Population, seed: np.random.SeedSequence, path: Path) -> None:
    n_ratings = int(population.users.activity.sum())
    n_threads = min(_MOST_THREADS, os.cpu_count() or 1)
    blocks = _blocks(population.users.activity, seed)
    with path.open("wb") as file, ThreadPoolExecutor(n_threads) as threads:
        scale = _star_scale(population, blocks[:_BLOCKS_IN_SAMPLE], threads)
        file.write(_HEADER + LINE_END)
        written, started = 0, time.perf_counter()
        reported = started
        futures = (threads.submit(_block_rows, block, population, scale) for block in blocks)
        for n_rows, rows in _in_order(futures, n_threads + 1):
            file.write(rows)
            written += n_rows
            now = time.perf_counter()
            if now - reported >= _SECONDS_BETWEEN_REPORTS:
                reported = now
                _logger.info(
                    "Made up %d of %d ratings (%.0f %%), %.0f a second",
                    *(written, n_ratings, 100 * written / n_ratings, written / (now - started)),
                )


def _star_scale(population: Population, blocks: Sequence[_Block], threads: Executor) -> StarScale:
    def sample(block: _Block) -> tuple[NDArray[np.float32], int]:
        rated = block.rate(population)
        return rated.pleasure, int(rated.early.sum())

    pleasures, n_early = zip(*threads.map(sample, blocks), strict=True)
    pleasure = np.concatenate(pleasures)
    return StarScale(pleasure, sum(n_early) / len(pleasure))


def _block_rows(block: _Block, population: Population, scale: StarScale) -> tuple[int, bytes]:
    """The number of ratings in a block, and their lines."""
    rated = block.rate(population)
    columns = {
        "userId": rated.users + 1,
        "movieId": population.movies.ids[rated.movies],
        "rating": _STARS.take(pa.array(scale.halves(rated))),
        "timestamp": rated.timestamps,
    }
    return len(rated.users), csv_rows(pa.table(columns))


def _in_order(futures: Iterator[Future[_Result]], n_ahead: int) -> Iterator[_Result]:
    """Results in the order of submission, no more than a few of them computed ahead."""
    waiting: deque[Future[_Result]] = deque()
    for future in futures:
        waiting.append(future)
        if len(waiting) > n_ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
