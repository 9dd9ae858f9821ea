"""A Qdrant server behind the service: used, failing, and back again."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from benchmarks.faults.qdrant_failing import sync
from benchmarks.qdrant_over_http import qdrant_over_http
from recommender.errors import IndexUnavailableError
from recommender.release import Release
from recommender.retrieval.qdrant_index import connect
from serving.app import create_app
from serving.server_index import ServerIndex
from serving.settings import Settings
from tests.serving.conftest import free_port

pytestmark = pytest.mark.filterwarnings("ignore:.*local:UserWarning", "ignore:Local mode:UserWarning")

PATH = "/api/v1/recommendations/3"
WISHES = {"genres": ["Drama", "Crime"], "year_from": 1960, "explain": True}


def settings(releases: Path, folder: Path, url: str) -> Settings:
    return Settings(
        releases=releases,
        ratings=f"sqlite:///{folder / 'ratings.db'}",
        qdrant_url=url,
        qdrant_pause_seconds=0.01,
        cache_entries=0,
    )


def test_answers_are_those_of_the_release_s_own_index(
    client: TestClient, small_releases: Path, live_release: Release, tmp_path: Path
) -> None:
    with qdrant_over_http() as url:
        sync(live_release, url)
        with TestClient(create_app(settings(small_releases, tmp_path, url))) as remote:
            for params in ({}, WISHES):
                own, answer = (each.get(PATH, params=params).json() for each in (client, remote))
                assert answer["degraded"] == []
                assert [item["movie_id"] for item in answer["items"]] == [
                    item["movie_id"] for item in own["items"]
                ]
            assert remote.get("/readyz").json()["degraded"] == []


def test_without_the_server_every_vector_is_searched_until_it_is_back(
    client: TestClient, small_releases: Path, live_release: Release, tmp_path: Path
) -> None:
    expected = [item["movie_id"] for item in client.get(PATH, params=WISHES).json()["items"]]
    with qdrant_over_http() as url:
        with TestClient(create_app(settings(small_releases, tmp_path, url))) as remote:
            for _ in range(4):  # the server is there, but has no index of the release
                answer = remote.get(PATH, params=WISHES).json()
                assert answer["degraded"] == ["index"]
                assert [item["movie_id"] for item in answer["items"]] == expected
            assert remote.get("/readyz").json()["degraded"] == ["index"]
            sync(live_release, url)
            answers = (remote.get(PATH, params=WISHES).json() for _ in iter(int, 1))
            whole = next(answer for answer in answers if not answer["degraded"])
            assert [item["movie_id"] for item in whole["items"]] == expected
            assert remote.get("/readyz").json()["degraded"] == []


def test_a_server_that_fails_is_left_alone_and_tried_again(live_release: Release) -> None:
    now = [0.0]
    url = f"http://127.0.0.1:{free_port()}"
    client = connect(url, timeout_s=1)
    index = ServerIndex(client, live_release.version, seconds=1, pause=5, clock=lambda: now[0])
    for _ in range(3):
        assert index.available
        with pytest.raises(IndexUnavailableError, match="did not answer: "):
            index.count()
    assert not index.available
    with pytest.raises(IndexUnavailableError, match="left alone"):
        index.search(live_release.user_vectors[0], 3)
    now[0] = 5.0
    with pytest.raises(IndexUnavailableError, match="did not answer: "):
        index.search_batch(live_release.user_vectors[:2], 3)
    with pytest.raises(IndexUnavailableError, match="left alone"):
        index.count()
    index.close()
