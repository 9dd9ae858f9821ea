"""The release switched again and again under load from several connections."""

import json
import logging
from pathlib import Path
from typing import Any, Final

import httpx

from benchmarks.faults.differing_releases import two_releases
from benchmarks.faults.load import LONGEST_S, SHOWN, Answer, Question, asked, load, milliseconds, unexpected
from benchmarks.faults.running_service import RunningService

logger = logging.getLogger("recommender.benchmarks.faults")

_KEY: Final = "an administrator's own key"
_SLOWEST_SWITCH_S: Final = 120.0
"""A switch reads a whole release while others keep every processor busy."""


def release_switches(
    releases: Path, folder: Path, *, switches: int, between: int = 10, connections: int = 8
) -> dict[str, Any]:
    """Switch between two releases that answer nothing alike while requests go on.

    What each release answers to each question is noted before. Under load an answer must be one of the two,
    to the last byte, so that none is made of both.

    Args:
        releases: folder of releases with a live one.
        folder: for the two releases and the ratings.
        switches: how often.
        between: answers to wait for between two switches.
        connections: how many ask at the same time.
    """
    versions = two_releases(releases, folder / "releases")
    with (
        RunningService(
            folder,
            releases=folder / "releases",
            ratings=f"sqlite:///{folder}/ratings.db",
            admin_keys=_KEY,
            requests_per_minute_address=0,
            requests_per_minute_key=0,
            cache_entries=20,
        ) as service,
        httpx.Client(base_url=service.address, timeout=LONGEST_S) as client,
    ):

        def switch(version: str) -> None:
            answer = client.post(
                f"/api/v1/releases/{version}:activate", headers={"X-API-Key": _KEY}, timeout=_SLOWEST_SWITCH_S
            )
            assert (answer.status_code, answer.json()["release"]) == (200, version), answer.text

        questions = _questions(client)
        alone: dict[Question, list[str]] = {question: [] for question in questions}
        for version in versions[::-1]:
            switch(version)
            for question in questions:
                alone[question].append(_plain(asked(client, question)))
        same = [question.path for question, (one, other) in alone.items() if one == other]
        assert not same, f"both releases answer alike: {same}"
        with load(service.address, questions, connections) as under_way:
            for number in range(switches):
                under_way.wait_for(between)
                switch(versions[(number + 1) % 2])
                if (number + 1) % 10 == 0:
                    logger.info("switched %d of %d times", number + 1, switches)
            under_way.wait_for(between)
    answers = under_way.answers
    wrong = unexpected(
        answers, "be one of the two releases' alone", lambda answer: _plain(answer) in alone[answer.question]
    )
    of_each = [sum(_plain(answer) == alone[answer.question][which] for answer in answers) for which in (1, 0)]
    return {
        "switches": switches,
        "connections": connections,
        "requests": len(answers),
        "of_first_release": of_each[0],
        "of_second_release": of_each[1],
        "failed": sum(answer.status != 200 for answer in answers),
        "mixed": len(answers) - sum(of_each) - sum(answer.status != 200 for answer in answers),
        "milliseconds": milliseconds(answers),
        "violations": wrong[:SHOWN],
    }


def _questions(client: httpx.Client) -> list[Question]:
    users = client.get("/api/v1/users", params={"limit": 12}).json()["items"]
    movies = client.get("/api/v1/movies", params={"limit": 5}).json()["items"]
    user_ids, movie_ids = [user["user_id"] for user in users], [movie["movie_id"] for movie in movies]
    paths = [f"/api/v1/recommendations/{user_id}?explain=true" for user_id in user_ids]
    paths += [f"/api/v1/recommendations/{user_id}?use_cache=false&diversity=0.5" for user_id in user_ids]
    paths += [f"/api/v1/movies/{movie_id}/similar" for movie_id in movie_ids]
    paths += [f"/api/v1/movies/{movie_id}" for movie_id in movie_ids]
    paths += ["/api/v1/movies", "/api/v1/movies?query=the&limit=50", "/readyz"]
    ratings = [
        {"movie_id": movie_id, "rating": 1.0 + number} for number, movie_id in enumerate(movie_ids[:4])
    ]
    return [
        *map(Question, paths),
        Question("/api/v1/recommendations", json.dumps({"ratings": ratings, "explain": True})),
        Question("/api/v1/recommendations:batch", json.dumps({"user_ids": user_ids})),
    ]


def _plain(answer: Answer) -> str:
    """An answer in one spelling."""
    return json.dumps(json.loads(answer.text), sort_keys=True) if answer.status == 200 else answer.text
