"""Rating through the service: what is acknowledged, what is refused, what is read back."""

import contextlib
import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from recommender.errors import RatingStoreError
from recommender.release import PARTS, Release, write_release
from serving.app import create_app
from serving.settings import Settings

RATINGS = "/api/v1/users/7/ratings"
NEW_USER = "/api/v1/users/4711/ratings"


def rated(client: TestClient, path: str = RATINGS, **params: Any) -> dict[int, float]:
    answer = client.get(path, params={"limit": 100, **params}).json()
    assert answer["rating_count"] == len(answer["items"])
    return {item["movie_id"]: item["rating"] for item in answer["items"]}


def unseen(release: Release, user_id: int) -> list[int]:
    return np.setdiff1d(release.movie_ids, release.history_of(user_id).movie_ids).tolist()


def test_a_new_rating_stands_beside_those_of_the_release(client: TestClient, live_release: Release) -> None:
    movie_id = unseen(live_release, 7)[0]
    before = rated(client)
    answer = client.post(RATINGS, json={"movie_id": movie_id, "rating": 4.5, "timestamp": 1_500_000_000})
    assert answer.status_code == 201
    assert answer.json() == {
        "movie_id": movie_id,
        "title": live_release.movie(movie_id).title,
        "release_year": live_release.movie(movie_id).release_year,
        "genres": list(live_release.movie(movie_id).genres),
        "rating": 4.5,
        "rated_at": datetime.fromtimestamp(1_500_000_000, UTC).isoformat().replace("+00:00", "Z"),
        "user_id": 7,
        "version": 1,
    }
    assert rated(client) == {**before, movie_id: 4.5}
    latest = client.get(RATINGS, params={"limit": 1}).json()
    assert (latest["version"], latest["items"][0]["movie_id"]) == (1, movie_id)


def test_a_new_rating_replaces_that_of_the_release_and_a_removed_one_is_gone(
    client: TestClient, live_release: Release
) -> None:
    movie_id, other = live_release.history_of(7).movie_ids[:2].tolist()
    before = rated(client)
    client.post(RATINGS, json={"movie_id": movie_id, "rating": 0.5})
    assert rated(client) == {**before, movie_id: 0.5}
    assert client.delete(f"{RATINGS}/{movie_id}").status_code == 204
    assert client.delete(f"{RATINGS}/{other}").status_code == 204
    left = {movie: rating for movie, rating in before.items() if movie not in (movie_id, other)}
    assert rated(client) == left
    assert client.delete(f"{RATINGS}/{movie_id}").status_code == 404
    client.post(RATINGS, json={"movie_id": movie_id, "rating": 3})
    assert rated(client) == {**left, movie_id: 3.0}


def test_somebody_new_begins_a_history(client: TestClient, live_release: Release) -> None:
    assert client.get(NEW_USER).status_code == 404
    movie_id = int(live_release.movie_ids[0])
    client.post(NEW_USER, json={"movie_id": movie_id, "rating": 5})
    answer = client.get(NEW_USER).json()
    assert (answer["position"], answer["rating_count"], answer["version"]) == (None, 1, 1)
    client.delete(f"{NEW_USER}/{movie_id}")
    answer = client.get(NEW_USER).json()
    assert (answer["items"], answer["rating_count"], answer["version"]) == ([], 0, 2)


def test_pages_of_ratings_are_the_whole_in_order(client: TestClient, live_release: Release) -> None:
    path = "/api/v1/users/30/ratings"
    history = live_release.history_of(30)
    expected = sorted(zip(history.timestamps.tolist(), history.movie_ids.tolist(), strict=True))[::-1]
    pages = [client.get(path, params={"offset": start, "limit": 20}).json() for start in (0, 20, 40)]
    assert [item["movie_id"] for page in pages for item in page["items"]] == [movie for _, movie in expected]
    best = client.get(path, params={"order": "best", "limit": 100}).json()["items"]
    assert best == client.get("/api/v1/users/30/history", params={"limit": 100}).json()["items"]
    assert [item["rating"] for item in best] == sorted(history.ratings.tolist(), reverse=True)


def test_the_same_key_counts_once_and_with_another_rating_is_a_conflict(client: TestClient) -> None:
    body, headers = {"movie_id": 5, "rating": 4.0}, {"Idempotency-Key": "once"}
    first, again = (client.post(NEW_USER, json=body, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    other = client.post(NEW_USER, json={**body, "rating": 1.0}, headers=headers)
    assert (other.status_code, other.headers["content-type"]) == (409, "application/problem+json")
    assert rated(client, NEW_USER) == {5: 4.0}


@pytest.mark.parametrize(
    ("body", "parameter", "allowed"),
    [
        ({"movie_id": 5, "rating": 4.3}, "rating", "0.5 to 5 in steps of 0.5"),
        ({"movie_id": 5, "rating": 0}, "rating", "0.5 to 5 in steps of 0.5"),
        ({"movie_id": 5, "rating": 5.5}, "rating", "0.5 to 5 in steps of 0.5"),
        ({"movie_id": 5, "rating": "4"}, "rating", "number"),
        ({"movie_id": -1, "rating": 4}, "movie_id", "greater than or equal to 0"),
        ({"movie_id": 2**63, "rating": 4}, "movie_id", "less than or equal"),
        ({"movie_id": 5.5, "rating": 4}, "movie_id", "integer"),
        ({"rating": 4}, "movie_id", "required"),
        ({"movie_id": 5, "rating": 4, "timestamp": 0}, "timestamp", "greater than or equal to 1"),
        ({"movie_id": 5, "rating": 4, "timestamp": 4_000_000_000}, "timestamp", "not in the future"),
        ({"movie_id": 5, "rating": 4, "more": 1}, "more", "not permitted"),
        ([], "body", "valid dictionary"),
    ],
)
def test_a_body_that_does_not_fit_is_told_by_field(
    client: TestClient, body: Any, parameter: str, allowed: str
) -> None:
    answer = client.post(NEW_USER, json=body)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["parameter"], error["location"]) == (parameter, "body")
    assert allowed in error["allowed"]
    assert client.get(NEW_USER).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"\xff\xfe\x00",
        b'{"movie_id": 5, "rating": NaN}',
        b'{"movie_id": 5, "rating": Infinity}',
        b'{"movie_id": 5, "rating": 1e999}',
        b'{"movie_id": 5, "rating": "\\ud800"}',
        b'{"movie_id": 5, "rating": 4, "\\ud800": 1}',
        b'{"movie_id": 5, "rating": {"$gt": 0}}',
        b'{"movie_id": ' + b"9" * 5_000 + b', "rating": 4}',
        b'{"movie_id": ' + b"9" * 4_000 + b', "rating": 4}',
        b"[" * 50_000,
        b'{"movie_id": 5, "rating": ' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"movie_id": 5, "rating": "' + b"x" * 100_000 + b'"}',
        json.dumps({f"x{n}": n for n in range(10_000)}).encode(),
    ],
    ids=range(16),
)
def test_a_hostile_body_is_a_short_problem(client: TestClient, body: bytes) -> None:
    answer = client.post(NEW_USER, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < 10_000


@pytest.mark.parametrize("key", ["two words", "ä".encode(), "x" * 129])
def test_a_key_that_does_not_fit_is_a_problem(client: TestClient, key: str | bytes) -> None:
    answer = client.post(NEW_USER, json={"movie_id": 5, "rating": 4}, headers={"Idempotency-Key": key})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["location"] == "header"


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", NEW_USER), ("DELETE", f"{NEW_USER}/6"), ("DELETE", f"{RATINGS}/6")],
)
def test_a_movie_that_nobody_knows_or_the_user_has_not_rated_is_not_found(
    client: TestClient, method: str, path: str
) -> None:
    answer = client.request(method, path, json={"movie_id": 6, "rating": 4} if method == "POST" else None)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_a_scale_that_the_release_declares_is_the_one_that_counts(
    live_release: Release, tmp_path: Path
) -> None:
    written_by_itself = {"format", "version", "created_at", "content_digest", "files"}
    manifest = live_release.manifest.model_dump(exclude=written_by_itself)
    manifest["data"] = {"source": {"rating_scale": {"min": 1, "max": 10, "step": 0.1}}}
    version = write_release(tmp_path, {name: live_release.folder / name for name in PARTS}, manifest)
    settings = Settings(
        release=tmp_path / version, ratings=f"sqlite:///{tmp_path}/ratings.db", development=True
    )
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        statuses = {
            rating: client.post(NEW_USER, json={"movie_id": 5, "rating": rating}).status_code
            for rating in (1, 9.7, 10, 0.5, 9.75, 10.1)
        }
        assert statuses == {1: 201, 9.7: 201, 10: 201, 0.5: 422, 9.75: 422, 10.1: 422}
        assert client.get(NEW_USER).json()["highest_rating"] == 10


def test_a_damaged_store_refuses_the_start(small_releases: Path, tmp_path: Path) -> None:
    file = tmp_path / "ratings.db"
    file.write_bytes(b"not a database" * 1000)
    with pytest.raises(RatingStoreError, match=f"{file} is damaged"):
        create_app(Settings(releases=small_releases, ratings=f"sqlite:///{file}"))


def test_ratings_stay_beside_the_releases_unless_said_otherwise(tmp_path: Path) -> None:
    assert Settings(releases=tmp_path / "releases").ratings_url == f"sqlite:///{tmp_path}/ratings.db"
    assert Settings(ratings="postgresql+psycopg://h/d").ratings_url == "postgresql+psycopg://h/d"


def test_a_store_that_is_kept_busy_says_when_to_come_back(client: TestClient, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "ratings.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = client.post(NEW_USER, json={"movie_id": 5, "rating": 4})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert answer.headers["content-type"] == "application/problem+json"
        assert client.get(RATINGS).status_code == 200
    assert client.post(NEW_USER, json={"movie_id": 5, "rating": 4}).status_code == 201
