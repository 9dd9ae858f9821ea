"""What recommendations can be asked to be like."""

import json
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recommender.errors import IndexUnavailableError, RatingStoreError
from recommender.release import Release
from tests.serving.conftest import GENRES

URL = "/api/v1/recommendations"

wishes = st.fixed_dictionaries(
    {},
    optional={
        "limit": st.integers(1, 100),
        "genres": st.lists(st.sampled_from(GENRES), max_size=3),
        "exclude_genres": st.lists(st.sampled_from(GENRES), max_size=3),
        "year_from": st.integers(1940, 2025),
        "year_to": st.integers(1940, 2025),
        "min_ratings": st.integers(0, 20),
        "diversity": st.sampled_from([0.0, 0.25, 1.0]),
        "explain": st.booleans(),
        "use_cache": st.booleans(),
    },
)


def passing(release: Release, user_id: int, wished: dict[str, Any]) -> set[int]:
    """Movies that may come back, found one at a time."""
    seen = set(release.history_of(user_id).movie_ids.tolist())
    kept = set()
    for movie_id in set(release.movie_ids.tolist()) - seen:
        movie = release.movie(movie_id)
        genres, year = set(movie.genres), movie.release_year
        if wished.get("genres") and not genres & set(wished["genres"]):
            continue
        if genres & set(wished.get("exclude_genres", [])):
            continue
        if movie.rating_count < wished.get("min_ratings", 0):
            continue
        if "year_from" in wished and (year is None or year < wished["year_from"]):
            continue
        if "year_to" in wished and (year is None or year > wished["year_to"]):
            continue
        kept.add(movie_id)
    return kept


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wished=wishes, user_id=st.sampled_from([1, 3, 12, 30, 999]))
def test_what_comes_back_is_what_was_wished_for(
    client: TestClient, live_release: Release, wished: dict[str, Any], user_id: int
) -> None:
    answer = client.get(f"{URL}/{user_id}", params=wished)
    assert answer.status_code == 200, answer.text
    items = answer.json()["items"]
    found = [item["movie_id"] for item in items]
    allowed = passing(live_release, user_id, wished)
    limit = wished.get("limit", 10)
    assert len(found) == len(set(found)) == min(limit, len(allowed))
    assert set(found) <= allowed
    assert [item["rank"] for item in items] == list(range(1, len(items) + 1))
    assert all(("reason" in item) == wished.get("explain", False) for item in items)
    if not wished.get("diversity"):
        scores = [item["score"] for item in items]
        assert scores == sorted(scores, reverse=True)
    batch = client.post(f"{URL}:batch", json={**wished, "user_ids": [user_id, user_id]}).json()
    assert [json.dumps(one["items"]) for one in batch["items"]] == [json.dumps(items)] * 2


def test_diversity_makes_the_movies_less_alike(client: TestClient, live_release: Release) -> None:
    def mean_cosine(diversity: float) -> float:
        items = client.get(f"{URL}/3", params={"limit": 6, "diversity": diversity}).json()["items"]
        rows = live_release.movie_positions(np.array([item["movie_id"] for item in items]))
        cosines = live_release.movie_vectors[rows] @ live_release.movie_vectors[rows].T
        return float(cosines[np.triu_indices(6, 1)].mean())

    assert mean_cosine(1.0) < mean_cosine(0.5) < mean_cosine(0.0)


def test_a_genre_is_found_however_it_is_written(client: TestClient) -> None:
    plain = client.get(f"{URL}/3", params={"genres": "Sci-Fi"}).json()["items"]
    assert plain
    assert client.get(f"{URL}/3", params={"genres": "sci-fi"}).json()["items"] == plain


@pytest.mark.parametrize("field", ["genres", "exclude_genres"])
def test_a_genre_that_no_movie_has_is_named(client: TestClient, field: str) -> None:
    for answer, place in (
        (client.get(f"{URL}/3", params={field: ["Drama", "Opera"]}), "query"),
        (client.post(URL, json={"ratings": [], field: ["Drama", "Opera"]}), "body"),
        (client.post(f"{URL}:batch", json={"user_ids": [3], field: ["Drama", "Opera"]}), "body"),
    ):
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert (error["parameter"], error["location"], error["received"]) == (field, place, "Opera")
        assert "Action, Comedy, Crime" in error["allowed"]


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("year_from", "soon", "integer from 0 to 9999"),
        ("diversity", "1.01", "number from 0 to 1"),
        ("diversity", "nan", "number from 0 to 1"),
        ("min_ratings", "-1", "integer from 0 to 2147483648"),
        ("use_cache", "perhaps", "boolean"),
        ("limit", "101", "integer from 1 to 100"),
    ],
)
def test_a_wish_that_does_not_fit_says_what_does(
    client: TestClient, name: str, value: str, allowed: str
) -> None:
    answer = client.get(f"{URL}/3", params={name: value})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"parameter": name, "location": "query", "received": value, "allowed": allowed}
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"user_ids": []},
        {"user_ids": list(range(101))},
        {"user_ids": [-1]},
        {"user_ids": ["7"]},
        {"user_ids": [7], "limit": 101},
        {"user_ids": [7], "limt": 5},
        {"user_ids": [7], "genres": ["Drama"] * 33},
        {"user_ids": [7], "genres": ["D" * 65]},
        {},
    ],
)
def test_a_batch_has_its_limits(client: TestClient, body: dict[str, Any]) -> None:
    answer = client.post(f"{URL}:batch", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"]


def test_who_has_an_answer_is_not_sent_it_again(client: TestClient, live_release: Release) -> None:
    first = client.get(f"{URL}/3")
    assert first.headers["cache-control"] == "private, no-cache"
    tag = first.headers["etag"]
    for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        again = client.get(f"{URL}/3", headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert client.get(f"{URL}/3", headers={"If-None-Match": '"other"'}).content == first.content
    movie_id = first.json()["items"][0]["movie_id"]
    client.post("/api/v1/users/3/ratings", json={"movie_id": movie_id, "rating": 1})
    changed = client.get(f"{URL}/3", headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert movie_id not in [item["movie_id"] for item in changed.json()["items"]]


def test_without_the_cache_an_answer_is_computed_anew(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = client.get(f"{URL}/3")
    monkeypatch.delattr(client.app.state.service.recommender.__class__, "recommend")
    assert client.get(f"{URL}/3").content == first.content
    assert client.get(f"{URL}/3", params={"use_cache": False}).status_code == 500


def test_a_store_of_ratings_that_fails_leaves_the_ratings_of_the_release(
    client: TestClient, live_release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RatingStoreError("The database did not answer.")

    whole = client.get(f"{URL}/3").json()
    store = client.app.state.service.ratings.__class__
    monkeypatch.setattr(store, "version", fail)
    monkeypatch.setattr(store, "ratings_of", fail)
    answer = client.get(f"{URL}/3").json()
    assert answer == {**whole, "degraded": ["ratings"]}
    monkeypatch.undo()
    assert client.get(f"{URL}/3").json() == whole


def test_filters_hold_also_when_the_index_fails(
    client: TestClient, live_release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise IndexUnavailableError("The index did not answer.")

    wished = {"genres": ["Drama", "Crime"], "year_from": 1960, "limit": 50}
    whole = client.get(f"{URL}/3", params=wished).json()
    monkeypatch.setattr(client.app.state.service.index, "search", fail)
    answer = client.get(f"{URL}/3", params={**wished, "limit": 51}).json()
    assert answer["degraded"] == ["index"]
    assert [item["movie_id"] for item in answer["items"]] == [item["movie_id"] for item in whole["items"]]
