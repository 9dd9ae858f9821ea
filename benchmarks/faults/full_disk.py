"""The disk of the ratings full, and with room again."""

import errno
import logging
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from benchmarks.faults.load import LONGEST_S, SHOWN
from benchmarks.faults.running_service import RunningService

logger = logging.getLogger("recommender.benchmarks.faults")

_DISK_BYTES: Final = 32_000_000
_AT_MOST: Final = 10_000
"""Ratings after which a full disk must have refused one."""
_USER: Final = 10_000_000
_PATH: Final = f"/api/v1/users/{_USER}/ratings"
_NO_ROOM: Final = 507


class Disk:
    """A small disk that can be filled to the last byte.

    It is a file system of its own where that may be mounted, else a limit on the size of the service's files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mounted = _mounted(folder)
        self._filler = folder / "filler"
        self._process = 0

    def used_by(self, process: int) -> None:
        """Say which process writes to it."""
        self._process = process

    def fill(self) -> None:
        """Leave no room."""
        if self.mounted:
            with self._filler.open("wb", buffering=0) as filler:
                for size in (65_536, 4096, 1):
                    _write_until_full(filler.write, size)
        else:
            largest = max(path.stat().st_size for path in self.folder.iterdir())
            self._limit(largest)

    def make_room(self) -> None:
        """Leave room again."""
        if self.mounted:
            self._filler.unlink()
        else:
            self._limit(resource.RLIM_INFINITY)

    def close(self) -> None:
        """Unmount it."""
        if self.mounted:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)

    def _limit(self, size: int) -> None:
        resource.prlimit(self._process, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def full_disk(releases: Path, folder: Path, *, rounds: int) -> dict[str, Any]:
    """Rate until the disk is full, make room, and go on, again and again.

    Full, the service must refuse with 507 and a problem document, read as ever, and recommend; with room, the
    refused rating must go through under its key. Nothing that was acknowledged may be missing at the end.

    Args:
        releases: folder of releases with a live one.
        folder: for the disk and the events.
        rounds: how often the disk is full.
    """
    violations: list[str] = []
    refused = number = 0
    with _small_disk(folder / "disk") as disk:
        settings: dict[str, Any] = {
            "releases": releases,
            "ratings": f"sqlite:///{disk.folder}/ratings.db",
            "development": True,
            "requests_per_minute_address": 0,
        }
        with (
            RunningService(folder, **settings) as service,
            httpx.Client(base_url=service.address, timeout=LONGEST_S) as client,
        ):
            disk.used_by(service.process.pid)
            movies = client.get("/api/v1/movies", params={"limit": 40}).json()["items"]
            movie_ids = [movie["movie_id"] for movie in movies]

            def rate() -> httpx.Response:
                body = {"movie_id": movie_ids[number % len(movie_ids)], "rating": 0.5 + 0.5 * (number % 9)}
                return client.post(_PATH, json=body, headers={"Idempotency-Key": f"{number:0128d}"})

            for round_ in range(rounds):
                for _ in range(50):
                    number += _went(rate(), violations)
                disk.fill()
                last = number + _AT_MOST
                while number < last and rate().status_code == 201:
                    number += 1
                for _ in range(20):
                    refused += 1
                    violations += _unlike_refusal(rate(), disk.folder)
                    violations += _unread(client, number, movie_ids)
                if disk.mounted and round_ == 0:
                    violations += _unlike_start(folder, settings)
                disk.make_room()
                number += _went(rate(), violations)
                violations += _unread(client, number, movie_ids)
                logger.info("the disk was full %d of %d times, %d ratings", round_ + 1, rounds, number)
        with (
            RunningService(folder, **settings) as service,
            httpx.Client(base_url=service.address, timeout=LONGEST_S) as client,
        ):
            violations += _unread(client, number, movie_ids)
    return {
        "rounds": rounds,
        "disk": "a file system of its own" if disk.mounted else "a limit on the size of files",
        "acknowledged": number,
        "refused": refused,
        "violations": violations[:SHOWN],
    }


def _went(answer: httpx.Response, violations: list[str]) -> bool:
    if answer.status_code != 201:
        violations.append(f"with room: {answer.status_code} {answer.text[:300]}")
    return answer.status_code == 201


def _unlike_refusal(answer: httpx.Response, folder: Path) -> Iterator[str]:
    kind = answer.headers["content-type"]
    if (answer.status_code, kind) != (_NO_ROOM, "application/problem+json") or str(folder) in answer.text:
        yield f"without room: {answer.status_code} {answer.text[:300]}"


def _unread(client: httpx.Client, number: int, movie_ids: list[int]) -> Iterator[str]:
    """What differs from the ratings that were acknowledged, and recommendations that do not come."""
    wanted = {movie_ids[n % len(movie_ids)]: 0.5 + 0.5 * (n % 9) for n in range(number)}
    answer = client.get(_PATH, params={"limit": 100})
    found = {item["movie_id"]: item["rating"] for item in answer.json().get("items", ())}
    if (answer.json().get("version"), found) != (number, wanted):
        yield f"lost: {answer.text[:300]}, where {number} were acknowledged"
    recommended = client.get(f"/api/v1/recommendations/{_USER}")
    if recommended.status_code != 200 or recommended.json()["degraded"]:
        yield f"recommendations: {recommended.status_code} {recommended.text[:300]}"


def _unlike_start(folder: Path, settings: dict[str, Any]) -> Iterator[str]:
    """What is wrong with another service on the full disk: it serves, or says which file has no room."""
    try:
        RunningService(folder, **settings).stop()
    except AssertionError as refused:
        if "Traceback" in str(refused) or "ratings.db" not in str(refused):
            yield f"a start on a full disk: {str(refused)[-500:]}"


@contextmanager
def _small_disk(folder: Path) -> Iterator[Disk]:
    folder.mkdir()
    disk = Disk(folder)
    try:
        yield disk
    finally:
        disk.close()


def _mounted(folder: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs", str(folder)]
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def _write_until_full(write: Callable[[bytes], int], size: int) -> None:
    block = os.urandom(size)
    try:
        while write(block):
            pass
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
