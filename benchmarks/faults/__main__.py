"""What fails around the service, tried for real, and what became of the requests meanwhile.

    python -m benchmarks.faults > result.json

One JSON object on standard output, progress on standard error. Every fault happens to real servers: the
service as `python -m serving` on a small release that the pipeline makes first, asked over HTTP; a Redis
server (Valkey); the engine of qdrant-client behind HTTP and a link that fails; a disk of its own where one
may be mounted. The pipeline is killed, too, in each of its steps. `violations` of a fault holds what should
not have happened: it is empty where all is well, and the exit status is 1 where one is not.
`tests/serving/test_faults.py` tries the service's faults in the same way, fewer times.
"""

import json
import logging
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import schemathesis
import typer

from benchmarks.circumstances import circumstances
from benchmarks.faults.corrupt_files import corrupt_files
from benchmarks.faults.full_disk import full_disk
from benchmarks.faults.hostile_requests import hostile_requests
from benchmarks.faults.openapi_cases import openapi_cases
from benchmarks.faults.qdrant_failing import qdrant_failing
from benchmarks.faults.redis_failing import redis_failing
from benchmarks.faults.release_switches import release_switches
from benchmarks.faults.running_service import RunningService
from benchmarks.faults.runs_killed import runs_killed
from benchmarks.faults.server_killed import server_killed
from benchmarks.qdrant_over_http import qdrant_over_http

logger = logging.getLogger("recommender.benchmarks.faults")

_CONFIG: Final = """
run: {name: faults}
example_gen: {source: synthetic}
trainer:
  epochs: 3
  batch_size: 32
  model: {dimension: 16, user_tower: {use_history: true}}
  ranking: {epochs: 2}
  re_ranker: {candidates: 40, epochs: 2}
"""
"""200 users, 300 movies, 8,000 ratings, and every model that a release can have."""
_KEY: Final = "an administrator's own key"


def main(
    releases: Annotated[
        Path | None, typer.Option(help="A folder of releases with a live one, instead of making one.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="A fault to try instead of all: a key of the result. Repeatable."),
    ] = None,
) -> None:
    """Try every fault."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    warnings.simplefilter("ignore")  # of qdrant-client's own engine, which is slow with many points
    faults: dict[str, Callable[[Path, Path], dict[str, Any]]] = {
        "server_killed": lambda live, folder: server_killed(live, folder, kills=20),
        "redis": lambda live, folder: redis_failing(live, folder, rounds=5, answers=500),
        "qdrant": _qdrant,
        "release_switches": lambda live, folder: release_switches(live, folder, switches=50, between=50),
        "full_disk": lambda live, folder: full_disk(live, folder, rounds=20),
        "corrupt_files": lambda live, folder: corrupt_files(live, folder, most=24),
        "openapi": _openapi,
        "hostile_requests": hostile_requests,
        "runs_killed": lambda _, folder: runs_killed(folder, _config(folder), kills=3),
    }
    if unknown := set(only or ()) - faults.keys():
        raise typer.BadParameter(f"no such fault: {', '.join(unknown)}; there are {', '.join(faults)}")
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="marquee-benchmark-") as scratch:
        live = releases.absolute() if releases is not None else _made(Path(scratch))
        for name, fault in faults.items():
            if only and name not in only:
                continue
            folder = Path(scratch) / name
            folder.mkdir()
            began = time.perf_counter()
            try:
                result[name] = fault(live, folder)
            except Exception as error:
                logger.exception("%s could not be tried to the end", name)
                result[name] = {"violations": [f"{type(error).__name__}: {error}"]}
            logger.info(
                "%s: %.0f s, %d violations",
                name,
                time.perf_counter() - began,
                len(result[name]["violations"]),
            )
    arguments = ([] if releases is None else ["--releases", str(releases)]) + [
        part for name in only or () for part in ("--only", name)
    ]
    json.dump(result | circumstances("faults", " ".join(arguments)), sys.stdout, indent=2)
    sys.stdout.write("\n")
    if any(found["violations"] for found in result.values()):
        raise typer.Exit(1)


def _made(folder: Path) -> Path:
    """Releases, with the one that a short run of the pipeline makes."""
    root = folder / "var"
    subprocess.run(
        [sys.executable, "-m", "pipelines", "run", "--config", str(_config(folder)), "--root", str(root)],
        check=True,
        stdout=sys.stderr,
    )
    return root / "releases"


def _config(folder: Path) -> Path:
    file = folder / "faults.yaml"
    file.write_text(_CONFIG)
    return file


def _qdrant(live: Path, folder: Path) -> dict[str, Any]:
    with qdrant_over_http() as url:
        return qdrant_failing(live, folder, url, rounds=3, answers=200)


def _openapi(live: Path, folder: Path) -> dict[str, Any]:
    with RunningService(
        folder,
        releases=live,
        ratings=f"sqlite:///{folder}/ratings.db",
        admin_keys=_KEY,
        requests_per_minute_key=0,
    ) as service:
        described = schemathesis.openapi.from_url(f"{service.address}/openapi.json")
        return {"schemathesis": schemathesis.__version__} | openapi_cases(described, _KEY, cases=200)


if __name__ == "__main__":
    typer.run(main)
