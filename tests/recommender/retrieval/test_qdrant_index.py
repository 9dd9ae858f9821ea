"""A Qdrant server that is not there, does not answer, or answers nonsense."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import numpy as np
import pytest

from recommender.errors import IndexUnavailableError
from recommender.retrieval.qdrant_index import QdrantMovieIndex, connect

VECTOR = np.ones(3, np.float32)
KEY = "a-key-that-nobody-sees"
insecure = pytest.mark.filterwarnings("ignore:Api key is used:UserWarning")


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def hung() -> Iterator[str]:
    # Connections are taken by the kernel, and nobody reads them.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


class Nonsense(BaseHTTPRequestHandler):
    """Answers every request with `answer`, and keeps the keys it was sent."""

    answer = (200, b"{}")
    keys: ClassVar[set[str | None]] = set()

    def _answer(self) -> None:
        self.keys.add(self.headers.get("api-key"))
        self.rfile.read(int(self.headers.get("content-length", 0)))
        status, body = self.answer
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = _answer  # noqa: N815

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def nonsense() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Nonsense) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def refuses_everything(url: str) -> str:
    """What is said when a server cannot be used, by every question there is."""
    client = connect(url, api_key=KEY, timeout_s=1)
    index = QdrantMovieIndex(client, "marquee-1", 8)
    said = []
    for ask in (
        lambda: QdrantMovieIndex.open(client, "1"),
        lambda: index.search(VECTOR, 5),
        lambda: index.search_batch(VECTOR[np.newaxis], 5, excludes=[[1]], exact=True),
        index.count,
    ):
        with pytest.raises(IndexUnavailableError) as refused:
            ask()
        said.append(str(refused.value))
    index.close()
    return " ".join(said)


@insecure
def test_a_server_that_is_not_there_is_told() -> None:
    assert "Connection refused" in refuses_everything(closed_port())


@insecure
def test_a_server_that_does_not_answer_is_waited_for_no_longer_than_asked(hung: str) -> None:
    assert "timed out" in refuses_everything(hung)


@insecure
@pytest.mark.parametrize(
    "answer",
    [
        (500, b'{"status": {"error": "out of memory"}}'),
        (200, b"{}"),
        (200, b'{"result": {"exists": true}}'),
        (200, b"<html>"),
        (403, b"forbidden"),
        (429, b""),
    ],
)
def test_whatever_a_server_answers_is_one_kind_of_error_that_does_not_hold_the_key(
    nonsense: str, answer: tuple[int, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Nonsense, "answer", answer)
    monkeypatch.setattr(Nonsense, "keys", set())
    assert KEY not in refuses_everything(nonsense)
    assert Nonsense.keys == {KEY}


@pytest.mark.parametrize("url", ["", "no address", "http://", "ftp://127.0.0.1", "http://127.0.0.1:99999999"])
def test_an_address_of_no_use_is_told(url: str) -> None:
    with pytest.raises(IndexUnavailableError):
        QdrantMovieIndex.open(connect(url, timeout_s=1), "1")


@pytest.mark.parametrize("version", ["", "../x", "a/b", "x y"])
def test_a_version_that_is_none_is_not_sent_to_the_server(version: str) -> None:
    with pytest.raises(ValueError, match="is no release version"):
        QdrantMovieIndex.open(connect(closed_port()), version)
