"""GET /api/v1/users and what they have rated."""

from datetime import datetime

import numpy as np
import pytest
from fastapi.testclient import TestClient

from recommender.release import Release
from serving.routes.users import _starting_with


def test_users_are_listed_by_id_with_how_much_they_rated(client: TestClient, live_release: Release) -> None:
    answer = client.get("/api/v1/users", params={"limit": 3}).json()
    assert answer["total"] == 30
    assert answer["items"] == [
        {"user_id": n, "position": n - 1, "rating_count": len(live_release.history_of(n).movie_ids)}
        for n in (1, 2, 3)
    ]


def test_users_are_found_by_the_first_digits(client: TestClient) -> None:
    answer = client.get("/api/v1/users", params={"query": "2", "limit": 100}).json()
    assert [user["user_id"] for user in answer["items"]] == [2, *range(20, 30)]
    assert answer["total"] == 11


def test_an_offset_passes_over_users(client: TestClient) -> None:
    answer = client.get("/api/v1/users", params={"offset": 29, "limit": 5}).json()
    assert [(user["user_id"], user["position"]) for user in answer["items"]] == [(30, 29)]
    assert client.get("/api/v1/users", params={"offset": 30}).json()["items"] == []


@pytest.mark.parametrize("params", [{"query": "x"}, {"limit": 0}, {"offset": -1}, {"query": "1" * 19}])
def test_odd_searches_are_problems(client: TestClient, params: dict[str, str]) -> None:
    answer = client.get("/api/v1/users", params=params)
    assert answer.status_code == 422
    assert [error["parameter"] for error in answer.json()["errors"]] == list(params)


@pytest.mark.parametrize("digits", ["", "0", "00", "4", "40", "42", "123", "999999999999999999"])
def test_first_digits_find_what_text_would(digits: str) -> None:
    user_ids = np.unique(np.random.default_rng(1).integers(0, 5000, 800))
    user_ids = np.unique(np.append(user_ids, [0, 4, 40, 123, 1234, 10**17, 42 * 10**16, 2**63 - 1]))
    expected = [n for n, user_id in enumerate(user_ids.tolist()) if str(user_id).startswith(digits)]
    assert _starting_with(user_ids, digits).tolist() == expected


def test_history_is_best_first_the_latest_first_among_equals(
    client: TestClient, live_release: Release
) -> None:
    answer = client.get("/api/v1/users/30/history", params={"limit": 20}).json()
    rated = live_release.history_of(30)
    by_hand = sorted(
        zip(rated.ratings.tolist(), rated.timestamps.tolist(), rated.movie_ids.tolist(), strict=True),
        key=lambda row: (-row[0], -row[1], row[2]),
    )[:20]
    assert [item["movie_id"] for item in answer["items"]] == [movie for _, _, movie in by_hand]
    assert [item["rating"] for item in answer["items"]] == [rating for rating, _, _ in by_hand]
    assert datetime.fromisoformat(answer["items"][0]["rated_at"]).timestamp() == by_hand[0][1]
    assert (answer["user_id"], answer["position"], answer["rating_count"]) == (30, 29, 39)
    assert answer["highest_rating"] == 5.0


def test_history_of_an_unknown_user_is_a_problem(client: TestClient) -> None:
    answer = client.get("/api/v1/users/999/history")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert "User 999 is not in release" in answer.json()["detail"]
