"""Movies over HTTP: searching them, one of them, and those like it."""

from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from recommender.errors import IndexUnavailableError
from recommender.release import Release

URL = "/api/v1/movies"


def titles(client: TestClient, **params: Any) -> list[str]:
    return [item["title"] for item in client.get(URL, params=params).json()["items"]]


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("lantern keeper", "The Lantern Keeper (1948)"),
        ("Lantern Keeper, The", "The Lantern Keeper (1948)"),
        ("lantren", "The Lantern Keeper (1948)"),
        ("taxidermists wife", "The Taxidermist's Wife (1981)"),
        ("zero gravity 2010", "Zero Gravity Waltz (2010)"),
        ("gunsmoke and lavender", "Gunsmoke & Lavender (1960)"),
    ],
)
def test_a_title_is_found_as_it_is_typed(client: TestClient, query: str, title: str) -> None:
    assert titles(client, query=query)[0] == title


def test_without_a_query_the_most_rated_movies_come_a_page_at_a_time(
    client: TestClient, live_release: Release
) -> None:
    pages = [client.get(URL, params={"offset": start, "limit": 10}).json() for start in range(0, 50, 10)]
    assert {page["total"] for page in pages} == {len(live_release.movie_ids)}
    found = [item["movie_id"] for page in pages for item in page["items"]]
    assert found == live_release.popular_movie_ids.tolist()
    counts = [item["rating_count"] for page in pages for item in page["items"]]
    assert counts == sorted(counts, reverse=True)


def test_a_search_keeps_to_the_filter(client: TestClient, live_release: Release) -> None:
    answer = client.get(
        URL, params={"genres": ["crime", "horror"], "exclude_genres": "Drama", "year_from": 1970, "limit": 50}
    ).json()
    expected = {
        movie_id
        for movie_id in live_release.movie_ids.tolist()
        if {"Crime", "Horror"} & set(live_release.movie(movie_id).genres)
        and "Drama" not in live_release.movie(movie_id).genres
        and (live_release.movie(movie_id).release_year or 0) >= 1970
    }
    assert {item["movie_id"] for item in answer["items"]} == expected
    assert answer["total"] == len(expected)
    waltzes = ["A Waltz for Marguerite (1955)", "Zero Gravity Waltz (2010)"]
    assert sorted(titles(client, query="waltz")) == waltzes
    assert titles(client, query="waltz", year_to=1960) == ["A Waltz for Marguerite (1955)"]


def test_a_movie_is_described(client: TestClient, live_release: Release) -> None:
    movie = live_release.movie(5)
    assert client.get(f"{URL}/5").json() == {
        "movie_id": 5,
        "title": movie.title,
        "release_year": movie.release_year,
        "genres": list(movie.genres),
        "rating_count": movie.rating_count,
        "rating_mean": round(movie.rating_mean, 3),
        "tags": ["slow"],
        "release": live_release.version,
    }


def test_similar_movies_have_the_nearest_vectors(client: TestClient, live_release: Release) -> None:
    row = live_release.movie_position(8)
    scores = live_release.movie_vectors @ live_release.movie_vectors[row]
    scores[row] = -np.inf
    best = np.argsort(-scores, kind="stable")[:7]
    answer = client.get(f"{URL}/8/similar", params={"limit": 7}).json()
    assert [item["movie_id"] for item in answer["items"]] == live_release.movie_ids[best].tolist()
    np.testing.assert_allclose([item["score"] for item in answer["items"]], scores[best], rtol=1e-5)
    assert (answer["movie_id"], answer["degraded"]) == (8, [])
    westerns = client.get(f"{URL}/8/similar", params={"genres": "western"}).json()["items"]
    assert westerns
    assert all("Western" in item["genres"] for item in westerns)


def test_similar_movies_are_found_also_without_the_index(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise IndexUnavailableError("The index did not answer.")

    whole = client.get(f"{URL}/8/similar")
    monkeypatch.setattr(client.app.state.service.index, "search", fail)
    answer = client.get(f"{URL}/8/similar")
    assert [item["movie_id"] for item in answer.json()["items"]] == [
        item["movie_id"] for item in whole.json()["items"]
    ]
    assert answer.json()["degraded"] == ["index"]
    assert answer.headers["cache-control"] == "no-store"
    assert "etag" not in answer.headers


def test_genres_are_those_of_the_movies(client: TestClient, live_release: Release) -> None:
    counts: dict[str, int] = {}
    for movie_id in live_release.movie_ids.tolist():
        for genre in live_release.movie(movie_id).genres:
            counts[genre] = counts.get(genre, 0) + 1
    items = client.get("/api/v1/genres").json()["items"]
    assert [(item["genre"], item["movie_count"]) for item in items] == sorted(counts.items())


@pytest.mark.parametrize("path", ["", "?query=waltz", "/5", "/5/similar"])
def test_who_has_an_answer_is_not_sent_it_again(client: TestClient, live_release: Release, path: str) -> None:
    first = client.get(URL + path)
    assert live_release.version in first.headers["etag"]
    again = client.get(URL + path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/6", "/6/similar", "/9223372036854775807"])
def test_a_movie_that_the_release_does_not_know_is_a_problem(client: TestClient, path: str) -> None:
    answer = client.get(URL + path, headers={"If-None-Match": "*"})
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize(
    "params",
    [{"query": "x" * 101}, {"limit": 101}, {"offset": -1}, {"genres": "Opera"}, {"year_from": 10_000}],
)
def test_a_search_has_its_limits(client: TestClient, params: dict[str, Any]) -> None:
    answer = client.get(URL, params=params)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert [error["parameter"] for error in answer.json()["errors"]] == list(params)


@pytest.mark.parametrize(
    "query", ["' OR 1=1 --", "../../etc/passwd", "\x00", "%", "<script>", "🎬", "\u202e", "((("]
)
def test_a_strange_query_is_a_query(client: TestClient, query: str) -> None:
    assert client.get(URL, params={"query": query}).status_code == 200
