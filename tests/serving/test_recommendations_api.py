"""GET /api/v1/recommendations/{user_id}."""

import json
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from recommender.errors import IndexUnavailableError
from recommender.release import Release
from recommender.retrieval.batch import recommend_all
from serving.app import create_app
from serving.settings import Settings

URL = "/api/v1/recommendations"


def test_a_known_user_gets_the_movies_nearest_to_their_vector(
    client: TestClient, live_release: Release
) -> None:
    answer = client.get(f"{URL}/3").json()
    assert (answer["user_id"], answer["release"], answer["strategy"]) == (
        3,
        live_release.version,
        "two_tower",
    )
    scores = live_release.movie_vectors @ live_release.user_vectors[live_release.user_position(3)]
    seen = live_release.history_of(3).movie_ids
    best = [row for row in np.argsort(-scores) if live_release.movie_ids[row] not in seen][:10]
    assert [item["movie_id"] for item in answer["items"]] == live_release.movie_ids[best].tolist()
    assert [item["rank"] for item in answer["items"]] == list(range(1, 11))
    np.testing.assert_allclose([item["score"] for item in answer["items"]], scores[best], rtol=1e-5)
    movie = live_release.movie(answer["items"][0]["movie_id"])
    assert set(answer["items"][0]) == {
        "rank", "movie_id", "title", "release_year", "genres", "score", "predicted_rating",
    }  # fmt: skip
    assert answer["items"][0]["predicted_rating"] is None
    assert (answer["items"][0]["title"], answer["items"][0]["genres"]) == (movie.title, list(movie.genres))


def test_a_release_with_two_stages_is_answered_from_in_two_stages(two_stage_release: Path) -> None:
    release = Release.load(two_stage_release)
    user_id = int(release.user_ids[3])
    with TestClient(create_app(Settings(release=two_stage_release))) as connected:
        answer = connected.get(f"{URL}/{user_id}", params={"explain": True}).json()
        assert connected.get(f"{URL}/999999").json()["items"][0]["predicted_rating"] is None
    assert answer["strategy"] == "two_stage"
    everybody = recommend_all(release, 10)
    own = everybody.filter(everybody["user_id"].to_numpy() == user_id)
    assert [item["movie_id"] for item in answer["items"]] == own["movie_id"].to_pylist()
    for item in answer["items"]:
        assert 0.5 <= item["predicted_rating"] <= 5.0
        assert re.match(r"(Because y|Y)ou (liked|rated|have seen) ", item["reason"])


def test_seen_movies_never_come_back(client: TestClient, live_release: Release) -> None:
    for user_id in live_release.user_ids.tolist():
        items = client.get(f"{URL}/{user_id}", params={"limit": 100}).json()["items"]
        movie_ids = {item["movie_id"] for item in items}
        seen = set(live_release.history_of(user_id).movie_ids.tolist())
        assert movie_ids == set(live_release.movie_ids.tolist()) - seen


def test_a_user_who_has_seen_nearly_everything_gets_the_rest(client: TestClient) -> None:
    assert len(client.get(f"{URL}/30", params={"limit": 10}).json()["items"]) == 3


def test_an_unknown_user_gets_popular_movies(client: TestClient, live_release: Release) -> None:
    answer = client.get(f"{URL}/999", params={"limit": 5, "explain": True}).json()
    assert answer["strategy"] == "popular"
    assert [item["movie_id"] for item in answer["items"]] == live_release.popular_movie_ids[:5].tolist()
    count = live_release.movie(answer["items"][0]["movie_id"]).rating_count
    assert answer["items"][0]["reason"] == f"Popular: rated by {count} people"
    assert answer["items"][0]["score"] == count


def test_explanations_name_what_the_user_liked(client: TestClient, live_release: Release) -> None:
    items = client.get(f"{URL}/3", params={"explain": True}).json()["items"]
    rated = live_release.history_of(3)
    titles = [live_release.movie(movie_id).title for movie_id in rated.movie_ids.tolist()]
    for item in items:
        assert item["reason"].startswith("Because you liked ")
        assert any(title in item["reason"] for title in titles)
    assert "reason" not in client.get(f"{URL}/3").json()["items"][0]


@pytest.mark.parametrize("limit", ["0", "100000", "-1", "ten", "1.5", "101"])
def test_a_limit_out_of_range_is_a_problem_that_says_what_is_allowed(client: TestClient, limit: str) -> None:
    answer = client.get(f"{URL}/3", params={"limit": limit})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == 422
    assert problem["instance"] == f"{URL}/3"
    assert problem["errors"] == [
        {"parameter": "limit", "location": "query", "received": limit, "allowed": "integer from 1 to 100"}
    ]
    assert problem["detail"] == f"limit is {limit!r}; allowed: integer from 1 to 100."


@pytest.mark.parametrize("limit", [1, 100])
def test_limits_at_the_edges_are_allowed(client: TestClient, limit: int) -> None:
    assert client.get(f"{URL}/3", params={"limit": limit}).status_code == 200


@pytest.mark.parametrize("user_id", ["abc", "-1", "9223372036854775808", "1e3"])
def test_a_user_id_that_is_none_is_a_problem(client: TestClient, user_id: str) -> None:
    answer = client.get(f"{URL}/{user_id}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == "user_id"


def test_every_wrong_parameter_is_told_at_once(client: TestClient) -> None:
    errors = client.get(f"{URL}/abc", params={"limit": 0, "explain": "perhaps"}).json()["errors"]
    assert [error["parameter"] for error in errors] == ["user_id", "limit", "explain"]


def test_a_failing_index_is_replaced_by_an_exact_search(
    client: TestClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = client.get(f"{URL}/3", params={"limit": 9}).json()
    assert expected["degraded"] == []

    def fail(*_: Any, **__: Any) -> None:
        raise IndexUnavailableError("The index did not answer: out of file handles.")

    monkeypatch.setattr(client.app.state.service.index, "search", fail)
    answer = client.get(f"{URL}/3", params={"limit": 8}).json()
    assert [item["movie_id"] for item in answer["items"]] == [
        item["movie_id"] for item in expected["items"][:8]
    ]
    assert answer["degraded"] == ["index"]
    assert 'marquee_degradations_total{part="index"} 1.0' in client.get("/metrics").text
    monkeypatch.undo()
    assert client.get(f"{URL}/3", params={"limit": 8}).json()["degraded"] == []
    assert "out of file handles. Searching the release's vectors instead." in caplog.text


def test_an_answer_is_remembered(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    first = client.get(f"{URL}/3", params={"explain": True})
    monkeypatch.delattr(client.app.state.service.recommender.__class__, "recommend")
    assert client.get(f"{URL}/3", params={"explain": True}).content == first.content
    assert client.get(f"{URL}/4").status_code == 500


def test_what_was_served_is_one_line_of_json(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="marquee.events"):
        answers = [client.get(f"{URL}/5", headers={"X-Request-ID": f"page-{n}"}).json() for n in (1, 2)]
    events = [json.loads(record.message) for record in caplog.records if record.name == "marquee.events"]
    for n, (answer, event) in enumerate(zip(answers, events, strict=True), start=1):
        assert event.pop("milliseconds") > 0
        assert event == {
            "event": "recommendations_served",
            "request_id": f"page-{n}",
            "user_id": 5,
            "release": answer["release"],
            "strategy": "two_tower",
            "movie_ids": [item["movie_id"] for item in answer["items"]],
            "cached": n == 2,
            "degraded": [],
        }


def test_a_failure_is_a_problem_that_gives_nothing_away(
    client: TestClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("a secret path")

    monkeypatch.setattr(client.app.state.service.recommender.__class__, "recommend", fail)
    answer = client.get(f"{URL}/3", headers={"X-Request-ID": "abc"})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "abc"
    assert "secret" not in answer.text
    assert "a secret path" in caplog.text


def test_the_release_folder_is_left_as_it_was(client: TestClient, live_release: Release) -> None:
    client.get(f"{URL}/3")
    assert Release.load(Path(live_release.folder)).version == live_release.version


def test_a_genre_that_no_movie_has_is_refused_however_often_it_is_asked_for(client: TestClient) -> None:
    for _ in range(3):
        answer = client.get("/api/v1/recommendations/7", params={"exclude_genres": "Ballet"})
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
