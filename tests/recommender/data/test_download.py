import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from recommender.data.download import FetchedFile, PinnedFile, fetch, registered_archive
from recommender.errors import FetchError

SHARED = Path(__file__).parents[4] / "shared" / "data"

CONTENT = bytes(range(256)) * 4_000
PINNED = PinnedFile(
    "ml-tiny.zip", "https://example.org/ml-tiny.zip", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT)
)


class Mirror:
    """A real HTTP server that counts what it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.requests: list[str] = []
        mirror = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *args: object) -> None:
                super().__init__(*args, directory=str(folder))  # type: ignore[arg-type]

            def do_GET(self) -> None:
                mirror.requests.append(self.path)
                if self.path.startswith("/cut/"):
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(CONTENT)))
                    self.end_headers()
                    self.wfile.write(CONTENT[:1000])
                elif self.path.startswith("/broken-once/") and len(mirror.requests) == 1:
                    self.send_error(503)
                else:
                    self.path = self.path.replace("/broken-once/", "/")
                    super().do_GET()

            def log_message(self, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/"


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / PINNED.name).write_bytes(CONTENT)
    mirror = Mirror(tmp_path / "served")
    thread = threading.Thread(target=mirror.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield mirror
    mirror.server.shutdown()
    thread.join()
    mirror.server.server_close()


@pytest.fixture
def nobody_there() -> str:
    """An address that nothing listens at."""
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        return f"http://127.0.0.1:{server.server_port}/"


def test_a_fetched_file_is_kept_under_its_name_and_nothing_else_is(mirror, tmp_path):
    fetched = fetch(PINNED, [mirror.address], tmp_path / "downloads")
    assert fetched == FetchedFile(tmp_path / "downloads/ml-tiny.zip", mirror.address + "ml-tiny.zip")
    assert fetched.path.read_bytes() == CONTENT
    assert list((tmp_path / "downloads").iterdir()) == [fetched.path]


def test_what_was_fetched_before_is_not_fetched_again(mirror, tmp_path):
    fetch(PINNED, [mirror.address], tmp_path)
    again = fetch(PINNED, [mirror.address], tmp_path)
    assert again == FetchedFile(tmp_path / PINNED.name, PINNED.address)
    assert len(mirror.requests) == 1


def test_what_was_fetched_before_but_altered_since_is_fetched_again(mirror, tmp_path):
    (tmp_path / PINNED.name).write_bytes(CONTENT[:-1] + b"?")
    assert fetch(PINNED, [mirror.address], tmp_path).path.read_bytes() == CONTENT


def test_the_next_mirror_is_tried_when_one_is_not_there(mirror, nobody_there, tmp_path):
    mirrors = [nobody_there, (tmp_path / "nowhere").as_uri(), mirror.address + "missing/", mirror.address]
    assert fetch(PINNED, mirrors, tmp_path / "downloads").address == mirror.address + "ml-tiny.zip"


def test_a_mirror_that_fails_once_is_asked_again(mirror, tmp_path):
    assert fetch(PINNED, [mirror.address + "broken-once/"], tmp_path / "downloads").path.is_file()
    assert len(mirror.requests) == 2


def test_another_file_under_that_name_is_refused_and_removed(mirror, tmp_path):
    (mirror.folder / PINNED.name).write_bytes(CONTENT[:-1] + b"?")
    with pytest.raises(FetchError) as caught:
        fetch(PINNED, [mirror.address], tmp_path / "downloads")
    received = hashlib.sha256(CONTENT[:-1] + b"?").hexdigest()
    for part in (mirror.address + PINNED.name, PINNED.sha256, received, "1,024,000 bytes", "another mirror"):
        assert part in str(caught.value)
    assert list((tmp_path / "downloads").iterdir()) == []


def test_a_mirror_with_another_file_is_passed_over_with_a_warning(mirror, tmp_path, caplog):
    (tmp_path / "stale").mkdir()
    (tmp_path / "stale" / PINNED.name).write_bytes(b"something else")
    fetched = fetch(PINNED, [(tmp_path / "stale").as_uri(), mirror.address], tmp_path / "downloads")
    assert fetched.path.read_bytes() == CONTENT
    assert [record.levelname for record in caplog.records if "not the file" in record.message] == ["WARNING"]


def test_an_interrupted_transfer_leaves_nothing(mirror, tmp_path):
    with pytest.raises(FetchError, match=r"/cut/ml-tiny\.zip"):
        fetch(PINNED, [mirror.address + "cut/"], tmp_path / "downloads")
    assert list((tmp_path / "downloads").iterdir()) == []


def test_a_file_far_larger_than_registered_is_not_read_to_its_end(mirror, tmp_path):
    (mirror.folder / PINNED.name).write_bytes(CONTENT * 10)
    with pytest.raises(FetchError, match="expected 1,024,000 bytes") as caught:
        fetch(PINNED, [mirror.address], tmp_path / "downloads")
    assert f"{len(CONTENT) * 10:,}" not in str(caught.value)


def test_the_error_names_every_mirror_that_was_tried(nobody_there, tmp_path):
    nowhere = (tmp_path / "nowhere").as_uri()
    with pytest.raises(FetchError) as caught:
        fetch(PINNED, [nobody_there, nowhere], tmp_path)
    assert f"{nobody_there}ml-tiny.zip could not be fetched" in str(caught.value)
    assert f"{nowhere}/ml-tiny.zip could not be fetched" in str(caught.value)


def test_the_registered_archive_is_accepted_from_a_file_mirror(tmp_path):
    if not (SHARED / "ml-latest-small.zip").is_file():
        pytest.skip("../shared/data/ml-latest-small.zip is absent")
    fetched = fetch(registered_archive("ml-latest-small.zip"), [SHARED.as_uri()], tmp_path)
    assert fetched.path.stat().st_size == 978_202


def test_an_archive_that_is_not_the_registered_one_is_refused(tmp_path):
    if not (SHARED / "ml-1m.zip").is_file():
        pytest.skip("../shared/data/ml-1m.zip is absent")
    with pytest.raises(FetchError, match=r"expected 5,917,549 bytes .* received 5,739,745 bytes"):
        fetch(registered_archive("ml-1m.zip"), [SHARED.as_uri()], tmp_path)


def test_archives_that_nobody_registered_cannot_be_asked_for():
    with pytest.raises(FetchError, match=r"ml-7\.zip is not among .*ml-100k\.zip"):
        registered_archive("ml-7.zip")
