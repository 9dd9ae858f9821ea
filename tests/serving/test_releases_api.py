"""Releases over HTTP: listing them, and switching while requests go on."""

import gc
import itertools
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from benchmarks.faults.differing_releases import parts_of
from benchmarks.faults.running_service import RunningService
from recommender.release import Release, list_releases, live_version, promote, write_release
from recommender.retrieval.edge_index import EdgeMovieIndex
from serving.app import create_app
from serving.settings import Settings

URL = "/api/v1/releases"
KEY = "an administrator's own key"
ADMIN = {"X-API-Key": KEY}
_WRITTEN_BY_ITSELF = {"format", "version", "created_at", "content_digest", "files"}


@pytest.fixture
def two_releases(small_releases: Path, live_release: Release, tmp_path: Path) -> Path:
    """Two releases of the same movies that answer alike but for their names; the first is live."""
    folder = tmp_path / "two releases"
    parts = parts_of(live_release.folder)
    for seed in (1, 2):
        manifest = live_release.manifest.model_dump(exclude=_WRITTEN_BY_ITSELF)
        write_release(folder, parts, {**manifest, "seed": seed})
    promote(folder, list_releases(folder)[0])
    return folder


@pytest.fixture
def settings(two_releases: Path, tmp_path: Path) -> Settings:
    ratings = f"sqlite:///{tmp_path / 'ratings.db'}"
    return Settings(releases=two_releases, ratings=ratings, admin_keys=KEY, release_check_seconds=0.02)


def test_releases_are_listed_newest_first(settings: Settings, two_releases: Path) -> None:
    older, newer = list_releases(two_releases)
    with TestClient(create_app(settings)) as client:
        answer = client.get(URL).json()
        assert answer["total"] == 2
        assert [(one["release"], one["live"], one["served"]) for one in answer["items"]] == [
            (newer, False, False),
            (older, True, True),
        ]
        assert answer["items"][0]["metrics"]["ndcg@10"] == 0.4312
        assert [one["release"] for one in client.get(URL, params={"offset": 1}).json()["items"]] == [older]
        (two_releases / newer / "manifest.json").write_text("{")
        assert [one["release"] for one in client.get(URL).json()["items"]] == [older]


def test_a_release_is_activated_and_the_one_before_ends(settings: Settings, two_releases: Path) -> None:
    older, newer = list_releases(two_releases)
    app = create_app(settings)
    with TestClient(app) as client:
        before = weakref.ref(app.state.service.loaded)
        first = client.get("/api/v1/recommendations/3").json()
        answer = client.post(f"{URL}/{newer}:activate", headers=ADMIN)
        assert (answer.status_code, answer.json()) == (200, {"release": newer, "before": older})
        assert live_version(two_releases) == client.get("/readyz").json()["release"] == newer
        assert client.get("/api/v1/recommendations/3").json() == {**first, "release": newer}
        gc.collect()
        assert before() is None
        exposed = client.get("/metrics").text
        assert f'marquee_release_info{{release="{newer}"}} 1.0' in exposed
        assert f'marquee_release_info{{release="{older}"}} 0.0' in exposed
        again = client.post(f"{URL}/{newer}:activate", headers=ADMIN).json()
        assert again == {"release": newer, "before": newer}


def test_only_an_administrator_may(two_releases: Path, settings: Settings) -> None:
    older, newer = list_releases(two_releases)
    key = "somebody who may write"
    with TestClient(create_app(settings.model_copy(update={"api_keys": ()}))) as client:
        assert client.post(f"{URL}/{newer}:activate").status_code == 401
    both = Settings(**{**settings.model_dump(), "api_keys": key, "admin_keys": KEY})
    with TestClient(create_app(both)) as client:
        assert client.post(f"{URL}/{newer}:activate", headers={"X-API-Key": key}).status_code == 403
        assert client.get("/readyz").json()["release"] == older


def test_what_cannot_be_served_changes_nothing(settings: Settings, two_releases: Path) -> None:
    older, newer = list_releases(two_releases)
    with (two_releases / newer / "movies.parquet").open("ab") as file:
        file.write(b"more")
    with TestClient(create_app(settings)) as client:
        for version, status in ((newer, 409), (f"{newer[:-8]}00000000", 404), ("current", 422), ("..", 422)):
            answer = client.post(f"{URL}/{version}:activate", headers=ADMIN)
            assert answer.status_code == status
            assert answer.headers["content-type"] == "application/problem+json"
            assert str(two_releases) not in answer.text
        assert live_version(two_releases) == client.get("/readyz").json()["release"] == older


def test_an_index_of_other_movies_is_refused(
    settings: Settings,
    two_releases: Path,
    live_release: Release,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    movie_ids, vectors = live_release.movie_ids[:-1], live_release.movie_vectors[:-1]
    EdgeMovieIndex.build(tmp_path / "index", movie_ids, vectors)
    parts = parts_of(live_release.folder)
    manifest = live_release.manifest.model_dump(exclude=_WRITTEN_BY_ITSELF)
    version = write_release(two_releases, parts | {"index": tmp_path / "index"}, manifest)
    with TestClient(create_app(settings)) as client:
        assert client.post(f"{URL}/{version}:activate", headers=ADMIN).status_code == 409
        assert client.get("/readyz").json()["release"] == list_releases(two_releases)[0]
    assert f"{two_releases / version}/index holds 41 movies, and the release has 42" in caplog.text


def test_a_folder_that_may_not_be_written_is_told(
    settings: Settings, two_releases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older, newer = list_releases(two_releases)

    def refuse(*_: Any) -> None:
        raise PermissionError(30, "Read-only file system")

    with TestClient(create_app(settings)) as client:
        monkeypatch.setattr(Path, "replace", refuse)
        answer = client.post(f"{URL}/{newer}:activate", headers=ADMIN)
        assert answer.status_code == 409
        assert f"marquee releases promote {newer}" in answer.json()["detail"]
        assert client.get("/readyz").json()["release"] == older


def test_a_service_of_one_particular_release_keeps_it(live_release: Release, tmp_path: Path) -> None:
    ratings = f"sqlite:///{tmp_path / 'ratings.db'}"
    fixed = Settings(release=live_release.folder, ratings=ratings, admin_keys=KEY)
    with TestClient(create_app(fixed)) as client:
        listed = client.get(URL).json()
        assert [(one["release"], one["served"]) for one in listed["items"]] == [(live_release.version, True)]
        assert client.post(f"{URL}/{live_release.version}:activate", headers=ADMIN).status_code == 409


def test_what_is_promoted_elsewhere_is_followed_and_what_is_broken_is_not(
    settings: Settings, two_releases: Path, caplog: pytest.LogCaptureFixture
) -> None:
    older, newer = list_releases(two_releases)
    with TestClient(create_app(settings)) as client:
        promote(two_releases, newer)
        served = (client.get("/readyz").json()["release"] for _ in itertools.count())
        assert next(release for release in served if release != older) == newer
        (two_releases / "current").write_text("no release at all\n")
        lines = (caplog.text for _ in served)
        assert any("which is no release" in line for line in lines)
        shutil.rmtree(two_releases / older)
        (two_releases / "current").write_text(f"{older}\n")
        lines = (caplog.text for _ in served)
        assert any(f"There is no release at {two_releases / older}" in line for line in lines)
        assert client.get("/readyz").json()["release"] == newer


def test_several_workers_follow_one_switch(
    start_service: Callable[..., RunningService], two_releases: Path, tmp_path: Path
) -> None:
    older, newer = list_releases(two_releases)
    service = start_service(
        releases=two_releases,
        ratings=f"sqlite:///{tmp_path / 'ratings.db'}",
        admin_keys=KEY,
        workers=2,
        release_check_seconds=0.05,
    )
    activate = f"{service.address}{URL}/{newer}:activate"
    assert httpx.post(activate, headers=ADMIN, timeout=60).status_code == 200
    in_a_row = 0
    while in_a_row < 40:  # each on a connection of its own, so that both workers are met
        served = httpx.get(f"{service.address}/readyz").json()["release"]
        assert served in (older, newer)
        in_a_row = in_a_row + 1 if served == newer else 0
