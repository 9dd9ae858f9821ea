"""`marquee data fetch`, against mirrors on this machine."""

import hashlib
import http.server
import os
import pty
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pipelines.cli import app
from recommender.errors import DataError, FetchError

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"


@pytest.fixture
def mirror(tmp_path) -> str:
    """The address of a mirror with what goes for MovieLens 32M here, and its md5."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    with zipfile.ZipFile(folder / "ml-32m.zip", "w") as archive:
        archive.writestr("ml-32m/ratings.csv", "userId,movieId,rating,timestamp\n1,1,5,1\n")
        archive.writestr("ml-32m/README.txt", "hello")
    publish_md5(folder)
    return folder.as_uri()


def publish_md5(folder: Path) -> None:
    md5 = hashlib.md5((folder / "ml-32m.zip").read_bytes()).hexdigest()
    (folder / "ml-32m.zip.md5").write_text(f"{md5}  ml-32m.zip\n")


def fetch(*arguments: str | Path) -> Result:
    return CliRunner().invoke(
        app, ["data", "fetch", *map(str, arguments)], catch_exceptions=False, env={"COLUMNS": "80"}
    )


def test_says_where_the_archive_is_and_what_it_is(tmp_path):
    if not (SHARED / "ml-latest-small.zip").is_file():
        pytest.skip("../shared/data/ml-latest-small.zip is absent")
    result = fetch("--dataset", "latest-small", "--mirror", SHARED.as_uri(), "--root", tmp_path)
    assert result.exit_code == 0
    for line in (
        f"MovieLens Latest Small from GroupLens: {tmp_path}/downloads/ml-latest-small.zip",
        f"address  {SHARED.as_uri()}/ml-latest-small.zip",
        "size     978,202 bytes",
        "sha256   696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436",
    ):
        assert line in result.output.splitlines()


def test_conditions_of_use_are_shown_the_first_time_only(tmp_path, mirror):
    first, again = (fetch("--dataset", "32m", "--mirror", mirror, "--root", tmp_path) for _ in range(2))
    assert first.output.count("Harper") == 1
    assert "Harper" not in again.output
    assert "fetched before" in again.output


def test_mirrors_are_tried_in_order(tmp_path, mirror):
    nowhere = (tmp_path / "nowhere").as_uri()
    result = fetch("--dataset", "32m", "--mirror", nowhere, "--mirror", mirror, "--root", tmp_path)
    assert f"warning: {nowhere}/ml-32m.zip could not be fetched" in result.output
    assert f"address  {mirror}/ml-32m.zip" in result.output


def test_unpacks_on_request(tmp_path, mirror):
    arguments = ("--dataset", "32m", "--mirror", mirror, "--root", tmp_path, "--unpack-to", tmp_path / "out")
    assert f"unpacked into {tmp_path}/out" in fetch(*arguments).output
    names = [path.name for path in sorted((tmp_path / "out/ml-32m").iterdir())]
    assert names == ["README.txt", "ratings.csv"]
    with pytest.raises(DataError, match="out: it is not empty"):
        fetch(*arguments)


def test_a_data_set_that_cannot_be_had_is_an_error_that_a_person_can_mend(tmp_path):
    with pytest.raises(FetchError, match=r"MovieLens 25M could not be fetched from anywhere"):
        fetch("--dataset", "25m", "--mirror", (tmp_path / "nowhere").as_uri(), "--root", tmp_path)


def test_a_data_set_that_does_not_exist_is_refused_with_those_that_do():
    result = fetch("--dataset", "7m")
    assert result.exit_code == 2
    assert "latest-small" in result.output


def test_on_a_terminal_a_bar_stands_for_lines_on_progress(tmp_path, mirror):
    reader, writer = pty.openpty()
    command = [sys.executable, "-m", "pipelines", "data", "fetch", "--dataset", "32m"]
    command += ["--mirror", mirror, "--root", str(tmp_path)]
    with subprocess.Popen(
        command, stdout=writer, stderr=writer, cwd=ROOT, env={**os.environ, "TERM": "xterm"}
    ):
        os.close(writer)
        output = b""
        # A terminal ends with an error when nobody writes to it any more.
        try:
            while piece := os.read(reader, 4096):
                output += piece
        except OSError:
            pass
    os.close(reader)
    assert b"MovieLens 32M" in output
    assert "━".encode() in output
    assert b"Fetching" not in output
    assert b"Harper" in output
    assert b"sha256 " in output


@pytest.fixture
def stalling_mirror(tmp_path) -> Iterator[tuple[str, threading.Event, list[str | None]]]:
    """A mirror that stops after 24 of 32 MB at first: more than fits into a connection's buffers."""
    content = bytes(32_000_000)
    (tmp_path / "ml-32m.zip").write_bytes(content)
    publish_md5(tmp_path)
    stalled, release, ranges = threading.Event(), threading.Event(), []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.endswith(".md5"):
                self.answer((tmp_path / "ml-32m.zip.md5").read_bytes(), 200)
                return
            ranges.append(self.headers["Range"])
            if len(ranges) == 1:
                self.answer(content, 200, cut=24_000_000)
                stalled.set()
                release.wait()
            else:
                start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
                self.answer(content[start:], 206, f"bytes {start}-{len(content) - 1}/{len(content)}")

        def answer(self, content: bytes, code: int, content_range: str = "", cut: int | None = None) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Content-Range", content_range)
            self.end_headers()
            self.wfile.write(content[:cut])

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", stalled, ranges
    release.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_after_ctrl_c_the_same_command_goes_on(tmp_path, stalling_mirror):
    address, stalled, ranges = stalling_mirror
    arguments = ["data", "fetch", "--dataset", "32m", "--mirror", address, "--root", str(tmp_path)]
    with subprocess.Popen(
        [sys.executable, "-m", "pipelines", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "no_proxy": "127.0.0.1"},
    ) as process:
        assert stalled.wait(60)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 130
    assert "the same command goes on from there" in " ".join(said.split())
    part = (tmp_path / "downloads/ml-32m.zip.part").stat().st_size
    assert part > 1_000_000
    result = CliRunner().invoke(app, arguments, catch_exceptions=False, env={"no_proxy": "127.0.0.1"})
    assert result.exit_code == 0
    assert ranges == [None, f"bytes={part}-"]
    assert (tmp_path / "downloads/ml-32m.zip").stat().st_size == 32_000_000
