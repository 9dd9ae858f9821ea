"""A Qdrant server that is out of reach, slow, hung, or answers nonsense, under load."""

import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, get_args
from urllib.parse import urlsplit

from benchmarks.faults.faulty_link import LATE_S, FaultyLink, Way
from benchmarks.faults.load import SHOWN, Answer, Question, load, milliseconds, unexpected
from benchmarks.faults.running_service import RunningService
from recommender.release import Release
from recommender.retrieval.configuration import IndexerConfig
from recommender.retrieval.movie_filter import payloads_of
from recommender.retrieval.qdrant_index import connect
from recommender.retrieval.sync_index import sync_index

logger = logging.getLogger("recommender.benchmarks.faults")

QDRANT_SECONDS: Final = 1
WITHOUT_INDEX: Final = ("silent", "dripping", "cut", "nonsense", "refused")
"""Ways in which no answer of the server can be used."""


def qdrant_failing(
    releases: Path,
    folder: Path,
    url: str,
    *,
    rounds: int,
    answers: int,
    connections: int = 8,
    ways: Sequence[Way] = get_args(Way),
) -> dict[str, Any]:
    """Let the way to a Qdrant server fail in each way in turn while requests go on.

    An answer must name the same movies whether it comes from the server or, with `"degraded": ["index"]`,
    from the release's own vectors.

    Args:
        releases: folder of releases with a live one.
        folder: for ratings and events.
        url: of a Qdrant server; brought to the release.
        rounds: how often the way fails in each way.
        answers: to wait for in each.
        connections: how many ask at the same time.
        ways: which.
    """
    release = Release.open_live(releases)
    sync(release, url)
    server = urlsplit(url)
    assert server.hostname is not None, "an address has a host"
    assert server.port is not None, "an address has a port"
    link = FaultyLink(server.hostname, server.port)
    phases: dict[Way, list[Answer]] = {way: [] for way in ways}
    violations: list[str] = []
    questions = [
        Question(f"/api/v1/recommendations/{user_id}?use_cache=false&limit=5")
        for user_id in release.user_ids[:30].tolist()
    ]
    try:
        with RunningService(
            folder,
            releases=releases,
            ratings=f"sqlite:///{folder}/ratings.db",
            qdrant_url=f"http://127.0.0.1:{link.port}",
            qdrant_seconds=QDRANT_SECONDS,
            qdrant_pause_seconds=0.2,
            requests_per_minute_address=0,
        ) as service:
            with load(service.address, questions, connections) as under_way:
                for number in range(rounds):
                    for way in ways:
                        link.go("whole")
                        under_way.wait_until(_is_whole)
                        link.go(way)
                        since = time.perf_counter()
                        fails = way in WITHOUT_INDEX
                        came = under_way.wait_until(_is_degraded if fails else _is_whole)
                        after = under_way.wait_for(answers)
                        phases[way] += came + after
                        if fails:
                            # One that Qdrant had answered before may come after many that it did not: under
                            # other load, 11 of 36,374 did.
                            asked_since = [answer for answer in after if answer.began > since]
                            violations += unexpected(asked_since, "do without the index", _is_degraded)
                    link.go("whole")
                    logger.info("the way to Qdrant has failed %d of %d times", number + 1, rounds)
            every = under_way.answers
    finally:
        link.close()
    violations += unexpected(
        every,
        "be whole or do without the index",
        lambda answer: _is_whole(answer) or _is_degraded(answer),
    )
    first = {answer.question: _movies(answer) for answer in reversed(every)}
    violations += unexpected(
        every, "name the movies of the first", lambda answer: _movies(answer) == first[answer.question]
    )
    return {
        "rounds": rounds,
        "connections": connections,
        "qdrant_seconds": QDRANT_SECONDS,
        "late_seconds": LATE_S,
        "requests": len(every),
        "server_errors": sum(answer.status >= 500 for answer in every),
        "failed": sum(answer.status != 200 for answer in every),
        "phases": {
            way: {
                "requests": len(came),
                "without_index": sum(map(_is_degraded, came)),
                "milliseconds": milliseconds(came),
            }
            for way, came in phases.items()
        },
        "violations": violations[:SHOWN],
    }


def sync(release: Release, url: str) -> None:
    """Bring a server to a release."""
    client = connect(url, timeout_s=10)
    sync_index(
        client,
        release.version,
        release.movie_ids,
        release.movie_vectors,
        payloads_of(release),
        release.user_vectors[:5],
        IndexerConfig(),
    )
    client.close()


def _is_whole(answer: Answer) -> bool:
    return _does_without(answer, [])


def _is_degraded(answer: Answer) -> bool:
    return _does_without(answer, ["index"])


def _does_without(answer: Answer, parts: list[str]) -> bool:
    return answer.status == 200 and json.loads(answer.text)["degraded"] == parts


def _movies(answer: Answer) -> list[int]:
    return [item["movie_id"] for item in json.loads(answer.text)["items"]] if answer.status == 200 else []
