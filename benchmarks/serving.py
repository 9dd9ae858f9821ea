"""What the service does on a release of MovieLens 25M's size: requests a second, latencies, memory, start.

    python -m benchmarks.serving > result.json

One JSON object on standard output, progress on standard error. The release comes from the pipeline, on
made-up ratings of MovieLens 25M's size and with one epoch of training, and stays under `--data`; `--release`
names another. The real server answers over loopback, one process of it on one core and who asks on another:
`uncached` goes through both stages for every request, each for another user; `filters` asks for a genre and a
span of years besides, and `seen_1000` for users who have rated about 1,000 movies. `bare` is a FastAPI route
that returns the same bytes as `cached`; both take turns. The index is measured as `benchmarks.index` does, on
the vectors of the release. `worker_mb` is what is resident after all that; `peak` is the most, while the
release was read.
"""

import contextlib
import json
import logging
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import httpx
import numpy as np
import psutil
import pyarrow.compute as pc
import pyarrow.parquet as pq
import typer
from threadpoolctl import threadpool_limits

from benchmarks.circumstances import circumstances
from benchmarks.http_load import get, load
from benchmarks.index import measured
from recommender.release import Release
from recommender.retrieval.edge_index import EdgeMovieIndex
from recommender.retrieval.exact_index import ExactMovieIndex
from recommender.retrieval.movie_filter import MovieFilter

logger = logging.getLogger("recommender.benchmarks.serving")

SEED: Final = 42
ML_25M_ROWS: Final = 25_000_095
ML_25M_USERS: Final = 162_541
ML_25M_RATED_MOVIES: Final = 59_047
CONNECTIONS: Final = (1, 16, 64)
GOAL_CONNECTIONS: Final = 16
USERS: Final = 2000
CACHED_USERS: Final = 50
SEEN: Final = 1000
SEARCHES: Final = 1000
ROUNDS: Final = 5
"""In which the cached and the bare route take turns."""
SLOWEST_START_S: Final = 120.0
_ADDRESS: Final = re.compile(r"http://127\.0\.0\.1:(\d+)/")


def main(
    release: Annotated[Path | None, typer.Option(help="Folder of a release.")] = None,
    data: Annotated[Path, typer.Option(help="A release is made and kept here.")] = Path(
        "var/benchmarks/serving"
    ),
    seconds: Annotated[float, typer.Option(help="How long each kind is asked for.")] = 5.0,
) -> None:
    """Measure the service."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    folder = release or _made(data)
    contents = Release.load(folder)
    with tempfile.TemporaryDirectory(prefix="marquee-benchmark-") as scratch:
        result = _service(folder, contents, seconds, Path(scratch))
        result["two_workers"] = _two_workers(folder, contents, seconds, Path(scratch))
    index = _index(contents)
    result |= {
        "recall_at_100": index["recall_at_100"],
        "search_p50_over_numpy": index["ratios"]["search_p50_over_numpy"],
        "seen_1000_over_plain": index["ratios"]["seen_1000_over_plain"],
        "index": index,
        "release": contents.manifest.counts.model_dump(),
    }
    arguments = "" if release is None else "--release FOLDER"
    json.dump(result | circumstances("serving", arguments), sys.stdout, indent=2)
    sys.stdout.write("\n")


def _made(data: Path) -> Path:
    """The release under a folder, made there first if there is none."""
    releases = data / "releases"
    if not (releases / "current").is_file():
        settings = {
            "example_gen.source": "synthetic",
            "example_gen.synthetic.n_users": ML_25M_USERS,
            "example_gen.synthetic.n_movies": ML_25M_RATED_MOVIES,
            "example_gen.synthetic.n_ratings": ML_25M_ROWS,
            "trainer.epochs": 1,
            "trainer.ranking.epochs": 1,
            "evaluator.baselines": '["most_popular"]',
            "evaluator.minimum_over": "{}",
        }
        chosen = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
        command = [
            sys.executable,
            "-m",
            "pipelines",
            "run",
            "--config",
            "ml-25m",
            "--root",
            str(data),
            *chosen,
        ]
        subprocess.run(command, check=True, stdout=sys.stderr)
    return releases / (releases / "current").read_text().strip()


def _service(folder: Path, contents: Release, seconds: float, scratch: Path) -> dict[str, Any]:
    paths = _paths(contents)
    table: dict[str, dict[str, dict[str, float]]] = {}
    with _server(folder, scratch / "one.db") as server:
        for kind, requests in paths.items():
            asked = [get(path) for path in requests]
            load(server.port, asked, GOAL_CONNECTIONS, min(1.0, seconds))  # Whatever is made when first used.
            if kind == "cached":
                load(server.port, asked, 1, min(1.0, seconds))
            table[kind] = {}
            for connections in CONNECTIONS:
                figures = load(server.port, asked, connections, seconds).figures()
                table[kind][str(connections)] = figures
                logger.info("%s, %d connections: %s", kind, connections, _told(figures))
        bare = _beside_bare(server, paths["cached"], seconds, scratch)
        megabytes = server.megabytes()
    uncached = table["uncached"][str(GOAL_CONNECTIONS)]
    return {
        "uncached_rps": uncached["rps"],
        "uncached_p99_ms": uncached["p99_ms"],
        "cached_over_bare": bare["over_bare"],
        "worker_mb": max(worker["resident"] for worker in megabytes["workers"]),
        "ready_s": server.ready_s,
        "megabytes": megabytes,
        "cached_beside_bare": bare,
        "requests": table,
    }


def _paths(contents: Release) -> dict[str, list[str]]:
    """What is asked, by kind."""
    generator = np.random.default_rng(SEED)
    users = generator.permutation(contents.user_ids)[:USERS].tolist()
    lengths = contents.rating_counts
    nearest = np.argsort(np.abs(lengths - SEEN), kind="stable")[:CACHED_USERS]
    logger.info("users with %d to %d seen movies", lengths[nearest].min(), lengths[nearest].max())
    many_seen = contents.raters[nearest].tolist()
    genres = _genres(contents)[:8]
    path = "/api/v1/recommendations/{}?limit=10{}"
    return {
        "uncached": [path.format(user, "&use_cache=false") for user in users],
        "filters": [
            path.format(
                user,
                f"&use_cache=false&genres={quote(genres[row % len(genres)])}&year_from=1980&year_to=2010",
            )
            for row, user in enumerate(users)
        ],
        "seen_1000": [path.format(user, "&use_cache=false") for user in many_seen],
        "cached": [path.format(user, "") for user in users[:CACHED_USERS]],
    }


def _beside_bare(server: "_Server", paths: Sequence[str], seconds: float, scratch: Path) -> dict[str, Any]:
    """Cached answers and a bare route's, in turn."""
    answers = [httpx.get(f"http://127.0.0.1:{server.port}{path}").content for path in paths]
    middle = sorted(answers, key=len)[len(answers) // 2]
    (scratch / "answer.json").write_bytes(middle)
    requests = [get(path) for path in paths]
    cached: list[float] = []
    bare: list[float] = []
    with _process([sys.executable, "-m", "benchmarks.bare_route", str(scratch / "answer.json")], {}) as other:
        for _ in range(ROUNDS):
            for port, asked, rates in (
                (server.port, requests, cached),
                (other.port, [get("/")], bare),
            ):
                rates.append(load(port, asked, GOAL_CONNECTIONS, seconds).figures()["rps"])
            logger.info("cached %.0f, bare %.0f a second", cached[-1], bare[-1])
    ratios = [ours / theirs for ours, theirs in zip(cached, bare, strict=True)]
    return {
        "bytes": len(middle),
        "cached_rps": cached,
        "bare_rps": bare,
        "over_bare": statistics.median(ratios),
        "over_bare_by_round": ratios,
    }


def _two_workers(folder: Path, contents: Release, seconds: float, scratch: Path) -> dict[str, Any]:
    """What two processes share: proportional memory counts what both have in parts."""
    asked = [get(path) for path in _paths(contents)["uncached"]]
    with _server(folder, scratch / "two.db", workers=2) as server:
        figures = load(server.port, asked, GOAL_CONNECTIONS, seconds).figures()
        logger.info("uncached, two workers: %s", _told(figures))
        return {"uncached": figures, "ready_s": server.ready_s, "megabytes": server.megabytes()}


def _index(contents: Release) -> dict[str, Any]:
    generator = np.random.default_rng(SEED)
    rows = generator.permutation(len(contents.user_ids))[:SEARCHES]
    lengths = contents.rating_counts
    nearest = np.argsort(np.abs(lengths - SEEN), kind="stable")[:SEARCHES]
    seen = [contents.histories(row, row + 1).movie_ids.tolist() for row in nearest]
    with threadpool_limits(1), contextlib.closing(EdgeMovieIndex.open(contents.index_folder)) as edge:
        return measured(
            edge,
            ExactMovieIndex.of_release(contents),
            contents.movie_vectors,
            contents.user_vectors[rows],
            seen,
            {
                "genre": MovieFilter(genres_any=(_genres(contents)[0],)),
                "since_1990": MovieFilter(year_from=1990),
            },
        )


def _genres(contents: Release) -> list[str]:
    lists = pq.read_table(contents.folder / "movies.parquet", columns=["genres"]).column("genres")
    return sorted(pc.unique(pc.list_flatten(lists)).to_pylist())


@dataclass
class _Server:
    """A server under way."""

    process: "subprocess.Popen[str]"
    port: int
    ready_s: float

    def megabytes(self) -> dict[str, Any]:
        """Resident and proportional memory of the processes that answer, and the most of one."""
        own = psutil.Process(self.process.pid)
        workers = [child for child in own.children() if "spawn_main" in " ".join(child.cmdline())] or [own]
        of_each = [
            {
                "resident": worker.memory_info().rss / 2**20,
                "proportional": worker.memory_full_info().pss / 2**20,
                "peak": _peak_mb(worker.pid),
            }
            for worker in workers
        ]
        return {"peak": max(of_one["peak"] for of_one in of_each), "workers": of_each}


@contextlib.contextmanager
def _server(folder: Path, ratings: Path, workers: int = 1) -> Iterator[_Server]:
    settings = {
        "MARQUEE_RELEASE": str(folder),
        "MARQUEE_RATINGS": f"sqlite:///{ratings}",
        "MARQUEE_PORT": "0",
        "MARQUEE_WORKERS": str(workers),
        "MARQUEE_REQUESTS_PER_MINUTE_ADDRESS": "0",
    }
    with _process([sys.executable, "-m", "serving"], settings) as server:
        yield server


@contextlib.contextmanager
def _process(command: list[str], settings: dict[str, str]) -> Iterator[_Server]:
    """A process that says where it listens, until the end of the block."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        env={**os.environ, **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    late = threading.Timer(SLOWEST_START_S, process.kill)
    late.start()
    try:
        said = []
        for line in process.stderr:
            said.append(line)
            if found := _ADDRESS.search(line):
                break
        else:
            raise SystemExit(f"{' '.join(command)} did not start:\n{''.join(said)}")
        late.cancel()
        port = int(found.group(1))
        # Nobody reads what else it says; it must not wait for that.
        threading.Thread(target=process.stderr.read, daemon=True).start()
        while httpx.get(f"http://127.0.0.1:{port}/").is_error:
            pass
        yield _Server(process, port, time.perf_counter() - began)
    finally:
        late.cancel()
        process.terminate()
        process.wait()


def _peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].partition("kB")[0]) / 1024


def _told(figures: dict[str, float]) -> str:
    return f"{figures['rps']:.0f}/s, p50 {figures['p50_ms']:.1f}, p99 {figures['p99_ms']:.1f} ms"


if __name__ == "__main__":
    typer.run(main)
