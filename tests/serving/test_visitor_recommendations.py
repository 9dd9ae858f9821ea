"""POST /api/v1/recommendations, and what a new rating does to a user's, on a release that knows how."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from recommender.release import Release
from serving.app import create_app
from serving.settings import Settings

URL = "/api/v1/recommendations"
NOBODY = 10**9


@pytest.fixture(scope="module")
def release(two_stage_release: Path) -> Release:
    return Release.load(two_stage_release)


@pytest.fixture
def two_stages(two_stage_release: Path, tmp_path: Path) -> Iterator[TestClient]:
    ratings = f"sqlite:///{tmp_path / 'ratings.db'}"
    app = create_app(Settings(release=two_stage_release, ratings=ratings, development=True))
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client


def ids(answer: dict[str, Any]) -> list[int]:
    return [item["movie_id"] for item in answer["items"]]


def given(release: Release, user_id: int) -> list[dict[str, Any]]:
    """What a user has rated, as a visitor would say it."""
    history = release.history_of(user_id)
    rated = zip(history.movie_ids.tolist(), history.ratings.tolist(), strict=True)
    return [{"movie_id": movie_id, "rating": rating} for movie_id, rating in rated]


def test_the_very_next_recommendation_takes_a_rating_into_account(
    two_stages: TestClient, release: Release
) -> None:
    for user_id, strategy in ((12, "two_stage"), (NOBODY, "popular")):
        url = f"{URL}/{user_id}"
        before = two_stages.get(url, params={"explain": True}).json()
        assert before["strategy"] == strategy
        rated = ids(before)[0]
        scores = {item["movie_id"]: item["score"] for item in before["items"]}
        ratings = f"/api/v1/users/{user_id}/ratings"
        assert two_stages.post(ratings, json={"movie_id": rated, "rating": 5}).status_code == 201
        after = two_stages.get(url, params={"explain": True}).json()
        assert after["strategy"] == "two_stage"
        assert rated not in ids(after)
        assert {item["movie_id"]: item["score"] for item in after["items"]} != scores
        assert two_stages.get(url, params={"explain": True}).json() == after
        two_stages.delete(f"{ratings}/{rated}")
        gone = two_stages.get(url).json()
        assert gone["strategy"] == strategy
        assert rated in ids(gone)


def test_reasons_name_what_was_rated_just_now(two_stages: TestClient, release: Release) -> None:
    rated = int(release.popular_movie_ids[0])
    two_stages.post(f"/api/v1/users/{NOBODY}/ratings", json={"movie_id": rated, "rating": 5})
    items = two_stages.get(f"{URL}/{NOBODY}", params={"explain": True, "limit": 100}).json()["items"]
    title = release.movie(rated).title
    assert any(title in item["reason"] for item in items)


def test_a_visitor_with_the_same_ratings_gets_the_same_movies_however_often(
    two_stages: TestClient, release: Release
) -> None:
    body = {"ratings": given(release, 3), "limit": 20, "explain": True}
    first = two_stages.post(URL, json=body).json()
    assert (first["strategy"], first["unknown_movie_ids"], first["degraded"]) == ("two_stage", [], [])
    assert not set(ids(first)) & set(release.history_of(3).movie_ids.tolist())
    assert all(0.5 <= item["predicted_rating"] <= 5 and item["reason"] for item in first["items"])
    assert two_stages.post(URL, json=body).json() == first
    assert two_stages.post(URL, json={**body, "use_cache": False}).json() == first
    assert ids(two_stages.post(URL, json={**body, "ratings": given(release, 90)}).json()) != ids(first)


def test_a_visitor_gets_what_a_new_user_gets_who_has_rated_the_same(
    two_stages: TestClient, release: Release
) -> None:
    rated = [{"movie_id": movie_id, "rating": 4.5} for movie_id in release.popular_movie_ids[:3].tolist()]
    for rating in rated:
        two_stages.post(f"/api/v1/users/{NOBODY}/ratings", json=rating)
    user = two_stages.get(f"{URL}/{NOBODY}").json()
    visitor = two_stages.post(URL, json={"ratings": rated}).json()
    assert set(ids(user)) & set(ids(visitor))
    assert user["strategy"] == visitor["strategy"] == "two_stage"


def test_unknown_movies_are_reported_and_passed_over(two_stages: TestClient, release: Release) -> None:
    rated = given(release, 3)
    plain = two_stages.post(URL, json={"ratings": rated}).json()
    odd = [{"movie_id": NOBODY, "rating": 5}, *rated, {"movie_id": NOBODY + 1, "rating": 1}]
    answer = two_stages.post(URL, json={"ratings": odd}).json()
    assert answer == {**plain, "unknown_movie_ids": [NOBODY, NOBODY + 1]}


def test_nothing_rated_gives_popular_movies_of_the_kind_that_was_asked_for(
    two_stages: TestClient, release: Release
) -> None:
    answer = two_stages.post(URL, json={"ratings": []}).json()
    assert (answer["strategy"], ids(answer)) == ("popular", release.popular_movie_ids[:10].tolist())
    genre = answer["items"][0]["genres"][0]
    only = two_stages.post(URL, json={"ratings": [], "genres": [genre], "explain": True}).json()
    assert all(genre in item["genres"] for item in only["items"])
    assert only["items"][0]["reason"].startswith("Popular: rated by")


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({}, "ratings"),
        ({"ratings": None}, "ratings"),
        ({"ratings": [{"movie_id": 1}]}, "ratings.0.rating"),
        ({"ratings": [{"movie_id": "1", "rating": 4}]}, "ratings.0.movie_id"),
        ({"ratings": [{"movie_id": 1, "rating": 4}, {"movie_id": 1, "rating": 5.5}]}, "ratings.1.rating"),
        ({"ratings": [{"movie_id": 1, "rating": 4}] * 1001}, "ratings"),
        ({"ratings": [], "limit": 0}, "limit"),
        ({"ratings": [], "diversity": "0.5"}, "diversity"),
        ({"ratings": [], "user_id": 3}, "user_id"),
        ([], "body"),
    ],
)
def test_a_body_that_does_not_fit_is_told_by_field(two_stages: TestClient, body: Any, parameter: str) -> None:
    answer = two_stages.post(URL, json=body)
    assert answer.status_code == 422
    assert [error["parameter"] for error in answer.json()["errors"]] == [parameter]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"ratings": [{"movie_id": 1, "rating": NaN}]}',
        b'{"ratings": 1e999}',
        b"[" * 5000,
    ],
)
def test_a_body_that_is_no_json_is_a_problem(two_stages: TestClient, body: bytes) -> None:
    answer = two_stages.post(URL, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"
