"""Why a movie is recommended: evidence in recommendations, and POST /api/v1/explanations."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from recommender.release import Release
from serving.app import create_app
from serving.settings import Settings
from tests.recommender.explanations.openai_endpoint import OpenAiEndpoint

RECOMMENDATIONS = "/api/v1/recommendations"
EXPLANATIONS = "/api/v1/explanations"
KEY = "sk-secret-0123456789"


@pytest.fixture(scope="module")
def release(two_stage_release: Path) -> Release:
    return Release.load(two_stage_release)


@pytest.fixture
def endpoint() -> Iterator[OpenAiEndpoint]:
    opened = OpenAiEndpoint()
    yield opened
    opened.close()


@pytest.fixture
def connect(
    two_stage_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., TestClient]]:
    """Makes a client of a fresh service, with `LLM_*` variables."""
    connected = []

    def make(**variables: str) -> TestClient:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        ratings = f"sqlite:///{tmp_path / 'ratings.db'}"
        app = create_app(Settings(release=two_stage_release, ratings=ratings, development=True))
        client = TestClient(app, base_url="http://localhost", raise_server_exceptions=False)
        connected.append(client.__enter__())
        return connected[-1]

    yield make
    for client in connected:
        client.__exit__(None, None, None)


def variables(endpoint: OpenAiEndpoint, **others: str) -> dict[str, str]:
    return {"LLM_BASE_URL": endpoint.base_url, "LLM_MODEL": "small", "LLM_API_KEY": KEY, **others}


def first_movie(client: TestClient, user_id: int = 7) -> dict[str, Any]:
    return client.get(f"{RECOMMENDATIONS}/{user_id}", params={"explain": True}).json()["items"][0]


def total_of(item: dict[str, Any]) -> float:
    evidence = item["evidence"]
    named = sum(ground["contribution"] for ground in evidence["rated"])
    return named + evidence["other_ratings"] + sum(evidence["parts"].values())


def events_of(answer: str) -> list[tuple[str, dict[str, Any]]]:
    events = []
    for event in answer.strip().split("\n\n"):
        name, data = event.split("\n")
        events.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return events


def test_evidence_in_recommendations_adds_up_to_the_score(
    connect: Callable[..., TestClient], release: Release
) -> None:
    client = connect()
    history = release.history_of(7)
    ratings = [
        {"movie_id": movie_id, "rating": rating}
        for movie_id, rating in zip(history.movie_ids.tolist(), history.ratings.tolist(), strict=True)
    ]
    for answer in (
        client.get(f"{RECOMMENDATIONS}/7", params={"explain": True}),
        client.post(RECOMMENDATIONS, json={"ratings": ratings, "explain": True}),
    ):
        items = answer.json()["items"]
        assert len(items) == 10
        for item in items:
            assert total_of(item) == pytest.approx(item["score"], abs=1e-3)
            assert {ground["movie_id"] for ground in item["evidence"]["rated"]} <= set(
                history.movie_ids.tolist()
            )
            for ground in item["evidence"]["rated"]:
                both = ground["retrieval"] + ground["neighbours"]
                assert ground["contribution"] == pytest.approx(both, abs=1e-5)
    assert "evidence" not in client.get(f"{RECOMMENDATIONS}/7").json()["items"][0]


def test_nobody_known_gets_no_evidence(connect: Callable[..., TestClient]) -> None:
    item = first_movie(connect(), user_id=10**9)
    assert item["evidence"] is None
    assert item["reason"].startswith("Popular: ")


def test_without_a_language_model_the_words_are_those_of_the_recommendation(
    connect: Callable[..., TestClient],
) -> None:
    client = connect()
    item = first_movie(client)
    answer = client.post(EXPLANATIONS, json={"user_id": 7, "movie_id": item["movie_id"]}).json()
    assert answer["text"] == f"{item['reason']}."
    assert (answer["wording"], answer["fallback"], answer["rank"]) == ("default", None, 1)
    assert answer["evidence"] == item["evidence"]
    assert client.get("/readyz").json()["language_model"] is False


def test_a_language_model_words_what_it_was_told_once(
    connect: Callable[..., TestClient], endpoint: OpenAiEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = connect(**variables(endpoint))
    asked = {"user_id": 7, "movie_id": first_movie(client)["movie_id"]}
    answer = client.post(EXPLANATIONS, json=asked).json()
    assert (answer["wording"], answer["fallback"]) == ("language_model", None)
    assert answer["text"].startswith("You liked ")
    assert client.post(EXPLANATIONS, json=asked).json() == answer
    assert len(endpoint.requests) == 1
    # A new rating is another history.
    rated = {"movie_id": first_movie(client, 8)["movie_id"], "rating": 5}
    client.post("/api/v1/users/7/ratings", json=rated)
    client.post(EXPLANATIONS, json=asked)
    assert len(endpoint.requests) == 2
    assert client.get("/readyz").json()["language_model"] is True
    assert KEY not in caplog.text


def test_words_stream_and_the_whole_answer_comes_last(
    connect: Callable[..., TestClient], endpoint: OpenAiEndpoint
) -> None:
    client = connect(**variables(endpoint))
    asked = {"user_id": 7, "movie_id": first_movie(client)["movie_id"]}
    said = []
    for expected in (["text", "text", "explanation"], ["explanation"]):
        answer = client.post(EXPLANATIONS, json=asked, headers={"Accept": "text/event-stream"})
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = events_of(answer.text)
        assert [name for name, _ in events] == expected
        said += [data["text"] for name, data in events if name == "text"]
        assert events[-1][1]["wording"] == "language_model"
        assert events[-1][1]["text"] == "".join(said)


def test_an_invented_title_is_never_the_answer(
    connect: Callable[..., TestClient], endpoint: OpenAiEndpoint
) -> None:
    client = connect(**variables(endpoint))
    item = first_movie(client)
    asked = {"user_id": 7, "movie_id": item["movie_id"]}
    endpoint.says = lambda facts: f"You may like {facts['recommended']['title']}. It is like Inception."
    answer = client.post(EXPLANATIONS, json=asked, headers={"Accept": "text/event-stream"})
    assert "Inception" not in answer.text
    whole = events_of(answer.text)[-1][1]
    assert (whole["text"], whole["wording"]) == (f"{item['reason']}.", "default")
    assert whole["fallback"] == "invented"
    # The same question would get the same words, so it is not asked again.
    client.post(EXPLANATIONS, json=asked)
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(("status", "fallback"), [(429, "rate_limited"), (503, "unreachable")])
def test_what_passes_is_tried_again_the_next_time(
    connect: Callable[..., TestClient], endpoint: OpenAiEndpoint, status: int, fallback: str
) -> None:
    client = connect(**variables(endpoint))
    asked = {"user_id": 7, "movie_id": first_movie(client)["movie_id"]}
    endpoint.status = status
    answer = client.post(EXPLANATIONS, json=asked).json()
    assert (answer["wording"], answer["fallback"]) == ("default", fallback)
    endpoint.status = 200
    assert client.post(EXPLANATIONS, json=asked).json()["wording"] == "language_model"


def test_the_budget_of_a_minute_is_kept(connect: Callable[..., TestClient], endpoint: OpenAiEndpoint) -> None:
    client = connect(**variables(endpoint, LLM_PER_MINUTE="2"))
    items = client.get(f"{RECOMMENDATIONS}/7", params={"explain": True}).json()["items"][:4]
    answers = [
        client.post(EXPLANATIONS, json={"user_id": 7, "movie_id": item["movie_id"]}).json() for item in items
    ]
    assert [answer["wording"] for answer in answers] == ["language_model"] * 2 + ["default"] * 2
    assert [answer["fallback"] for answer in answers] == [None] * 2 + ["budget"] * 2
    assert len(endpoint.requests) == 2


def test_what_cannot_be_explained_is_refused(connect: Callable[..., TestClient], release: Release) -> None:
    client = connect()
    seen = int(release.history_of(7).movie_ids[0])
    assert client.post(EXPLANATIONS, json={"user_id": 7, "movie_id": 10**9}).status_code == 404
    assert client.post(EXPLANATIONS, json={"user_id": 7, "movie_id": seen}).status_code == 404
    assert client.post(EXPLANATIONS, json={"movie_id": seen}).status_code == 422
    both = {"user_id": 7, "ratings": [], "movie_id": seen}
    assert client.post(EXPLANATIONS, json=both).status_code == 422


def test_every_movie_that_is_not_rated_can_be_explained(
    connect: Callable[..., TestClient], release: Release
) -> None:
    client = connect()
    rated = set(release.history_of(7).movie_ids.tolist())
    others = [movie_id for movie_id in release.movie_ids.tolist() if movie_id not in rated]
    ranks = [
        client.post(EXPLANATIONS, json={"user_id": 7, "movie_id": movie_id}).json()["rank"]
        for movie_id in others[:: len(others) // 6]
    ]
    assert all(1 <= rank <= len(others) for rank in ranks)
