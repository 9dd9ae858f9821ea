"""A real service in a process of its own, over HTTP."""

import shutil
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from recommender.errors import ConfigurationError
from recommender.release import Release
from serving.app import serve
from serving.settings import Settings

SERVE = """
import sys
from pathlib import Path
from recommender.errors import MarqueeError
from serving.app import serve
from serving.settings import Settings
try:
    serve(Settings(release=Path(sys.argv[1]), ratings=f"sqlite:///{sys.argv[1]}.db", port=0))
except MarqueeError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def test_a_user_is_recommended_unseen_movies(http: httpx.Client, live_release: Release) -> None:
    answer = http.get("/api/v1/recommendations/7", params={"limit": 5, "explain": True})
    assert answer.status_code == 200
    movie_ids = [item["movie_id"] for item in answer.json()["items"]]
    assert len(movie_ids) == 5
    assert not set(movie_ids) & set(live_release.history_of(7).movie_ids.tolist())
    assert answer.json()["release"] == http.get("/readyz").json()["release"] == live_release.version


def test_an_unknown_user_and_a_wrong_limit_over_http(http: httpx.Client) -> None:
    assert http.get("/api/v1/recommendations/999").json()["strategy"] == "popular"
    for limit in (0, 100_000):
        answer = http.get("/api/v1/recommendations/7", params={"limit": limit})
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


def test_many_at_once_get_their_own_answers(http: httpx.Client) -> None:
    def ask(user_id: int) -> tuple[int, int]:
        answer = http.get(f"/api/v1/recommendations/{user_id}", params={"limit": 3})
        return answer.status_code, answer.json()["user_id"]

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, [*range(1, 31)] * 4))
    assert answers == [(200, user_id) for user_id in [*range(1, 31)] * 4]


def test_the_page_is_served(http: httpx.Client) -> None:
    page = http.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "<title>Marquee</title>" in page.text


@pytest.mark.parametrize("damage", ["missing", "altered"])
def test_a_damaged_release_refuses_the_start_and_names_the_file(
    live_release: Release, tmp_path: Path, damage: str
) -> None:
    folder = tmp_path / "release"
    shutil.copytree(live_release.folder, folder)
    path = folder / "users.parquet"
    if damage == "missing":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        content[100] ^= 1
        path.write_bytes(content)
    refused = subprocess.run(
        [sys.executable, "-c", SERVE, str(folder)], check=False, capture_output=True, text=True, timeout=60
    )
    assert refused.returncode == 1
    assert "ReleaseError" in refused.stderr
    assert str(path) in refused.stderr
    assert damage in refused.stderr
    assert "listens at" not in refused.stderr


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_service_leaves_no_copy_of_the_index(
    live_release: Release, tmp_path: Path, sent: signal.Signals
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(live_release.folder)],
        stderr=subprocess.PIPE,
        text=True,
        env={"TMPDIR": str(tmp_path)},
    )
    assert any("listens at" in line for line in iter(process.stderr.readline, ""))
    assert len(list(tmp_path.glob("marquee-release-index-*"))) == 1
    process.send_signal(sent)
    process.communicate(timeout=30)
    assert list(tmp_path.iterdir()) == []


def test_a_port_in_use_is_told(small_releases: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port}.*Choose another port"):
            serve(Settings(releases=small_releases, port=port))


def test_serving_needs_no_tensorflow() -> None:
    code = "import sys, serving.app; assert 'tensorflow' not in sys.modules, 'imported'"
    subprocess.run([sys.executable, "-c", code], check=True)
