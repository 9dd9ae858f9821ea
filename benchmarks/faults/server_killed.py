"""The service killed by `kill -9` under a stream of ratings, and started again."""

import itertools
import logging
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np

from benchmarks.faults.load import LONGEST_S, SHOWN
from benchmarks.faults.running_service import RunningService

logger = logging.getLogger("recommender.benchmarks.faults")

LEAST, MOST = 30, 150
"""Ratings acknowledged before the service is killed; the number is drawn anew each time."""
_BUSY: Final = 503
FIRST_USER: Final = 10_000_000
"""No release has users from here on."""


def server_killed(releases: Path, folder: Path, *, kills: int, writers: int = 8) -> dict[str, Any]:
    """Kill the service while ratings stream in, start it again, and send every rating again under its key.

    A rating is lost if it was acknowledged and its key is new to the restarted service, or if the rating is
    not among those of the user. It counts twice if the user's version, which goes up with each change, is
    more than the number of keys that were sent.

    Args:
        releases: folder of releases with a live one.
        folder: where the ratings are kept.
        kills: how often.
        writers: connections that write at the same time.
    """
    random = np.random.default_rng(1)
    database, copies = folder / "ratings.db", folder / "tmp"
    copies.mkdir()
    settings: dict[str, Any] = {
        "releases": releases,
        "ratings": f"sqlite:///{database}",
        "development": True,
        "requests_per_minute_address": 0,
    }

    def start() -> RunningService:
        return RunningService(folder, environment={"TMPDIR": str(copies)}, **settings)

    violations: list[str] = []
    acknowledged = unanswered = kept_unanswered = 0
    service = start()
    movie_ids = _movies(service.address)
    for kill in range(kills):
        users = [FIRST_USER + kill * writers + writer for writer in range(writers)]
        rounds = _until_killed(service, users, movie_ids, int(random.integers(LEAST, MOST)))
        service = start()
        with httpx.Client(base_url=service.address, timeout=LONGEST_S) as client:
            for user_id, sent in zip(users, rounds, strict=True):
                for number, before in enumerate(sent):
                    again = _rate(client, user_id, number, movie_ids)
                    replayed = again.headers.get("Idempotency-Replayed") == "true"
                    if before is None:
                        unanswered += 1
                        kept_unanswered += replayed
                    else:
                        acknowledged += 1
                        if not replayed:
                            violations.append(f"lost: user {user_id}, key {number}")
                    if again.status_code != 201 or (before is not None and again.json() != before):
                        violations.append(f"user {user_id}, key {number}: {before}, then {again.text[:300]}")
                violations += _differences(client, user_id, len(sent), movie_ids)
        logger.info("killed %d of %d times, %d ratings acknowledged", kill + 1, kills, acknowledged)
    service.stop()
    with closing(sqlite3.connect(database)) as connection:
        sound = connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    left = sorted(path.name for path in copies.iterdir())
    if not sound or left:
        violations.append(f"integrity_check: {sound}; left in the folder for temporary files: {left}")
    return {
        "kills": kills,
        "connections": writers,
        "acknowledged": acknowledged,
        "unanswered": unanswered,
        "unanswered_but_kept": kept_unanswered,
        "lost": sum(violation.startswith("lost") for violation in violations),
        "twice": sum(violation.startswith("twice") for violation in violations),
        "violations": violations[:SHOWN],
    }


def _movies(address: str) -> list[int]:
    found = httpx.get(f"{address}/api/v1/movies", params={"limit": 40}).json()
    return [movie["movie_id"] for movie in found["items"]]


def _until_killed(
    service: RunningService, users: list[int], movie_ids: list[int], enough: int
) -> list[list[dict[str, Any] | None]]:
    """What each user's ratings were answered with, None for the one that was not; in the order of keys."""
    counter, lock = itertools.count(1), threading.Lock()

    def stream(user_id: int) -> list[dict[str, Any] | None]:
        answers: list[dict[str, Any] | None] = []
        with httpx.Client(base_url=service.address, timeout=LONGEST_S) as client:
            while True:
                try:
                    answer = _rate(client, user_id, len(answers), movie_ids)
                except httpx.TransportError:
                    return [*answers, None]
                if answer.status_code == _BUSY:
                    continue  # with the same key again, as the answer says
                answer.raise_for_status()
                answers.append(answer.json())
                with lock:
                    acknowledged = next(counter)
                if acknowledged == enough:
                    service.kill()

    with ThreadPoolExecutor(len(users)) as threads:
        return list(threads.map(stream, users))


def _rate(client: httpx.Client, user_id: int, number: int, movie_ids: list[int]) -> httpx.Response:
    return client.post(
        f"/api/v1/users/{user_id}/ratings",
        json={"movie_id": movie_ids[number % len(movie_ids)], "rating": _stars(number)},
        headers={"Idempotency-Key": f"{user_id}-{number}"},
    )


def _stars(number: int) -> float:
    return 0.5 + 0.5 * (number % 9)  # another one each time round the movies


def _differences(client: httpx.Client, user_id: int, sent: int, movie_ids: list[int]) -> list[str]:
    """How a user's ratings differ from what was sent, each key once and in order."""
    wanted = {movie_ids[number % len(movie_ids)]: _stars(number) for number in range(sent)}
    answer = client.get(f"/api/v1/users/{user_id}/ratings", params={"limit": 100}).json()
    found = {item["movie_id"]: item["rating"] for item in answer["items"]}
    differences = [] if found == wanted else [f"lost: user {user_id} has {found} instead of {wanted}"]
    if answer["version"] > sent:
        differences.append(f"twice: user {user_id}: {answer['version']} changes, {sent} keys")
    return differences
