"""What is no request, or never becomes one, over real connections."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from benchmarks.faults.hostile_requests import sent
from serving.access import http_head

PROBLEM = "application/problem+json"
LINE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


@contextmanager
def connection(address: str) -> Iterator[socket.socket]:
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as opened:
        yield opened


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"hello?\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"POST /api/v1/recommendations HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (LINE + b"X: " + b"a" * http_head.LONGEST_HEAD + b"\r\n\r\n", 431),
        (b"GET /" + b"a" * http_head.LONGEST_HEAD + b" HTTP/1.1\r\n\r\n", 431),
        (LINE + b"A: b\r\n" * http_head.LONGEST_HEAD + b"\r\n", 431),
        (LINE + b"X: " + b"a" * (http_head.LONGEST_HEAD - 100) + b"\r\n\r\n", 200),
    ],
)
def test_what_is_no_request_or_too_long_a_one_is_a_problem(address: str, raw: bytes, status: int) -> None:
    answer = sent(address, raw)
    assert answer.status == status
    assert status == 200 or answer.content_type == PROBLEM
    assert httpx.get(f"{address}/healthz").status_code == 200


def test_a_header_without_end_is_given_up_long_before_it_fills_the_memory(address: str) -> None:
    with connection(address) as opened:
        opened.sendall(LINE + b"X: ")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            opened.sendall(b"a" * 300_000_000)


SERVE = """
from serving import app
from serving.access import http_head
from serving.settings import Settings
http_head.SLOWEST_HEAD_S = 0.2
app.serve(Settings.from_environment())
"""


def test_a_head_that_does_not_come_is_not_waited_for(start_service: Any) -> None:
    service = start_service(SERVE)
    for begun in (b"", b"GET / HT", LINE):
        with connection(service.address) as opened:
            opened.sendall(begun)
            assert opened.recv(65_536).startswith(b"HTTP/1.1 408 Request Timeout\r\n")
            assert opened.recv(65_536) == b""
    with connection(service.address) as opened:  # nor the second one of a connection
        opened.sendall(LINE + b"\r\n" + LINE)
        received = b""
        while piece := opened.recv(65_536):
            received += piece
        assert received.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"HTTP/1.1 408 Request Timeout\r\n" in received


def test_what_follows_a_request_is_never_taken_for_its_answer(address: str) -> None:
    with connection(address) as opened:
        opened.sendall(LINE + b"\r\nnonsense\r\n\r\n")
        received = opened.recv(65_536)
        assert received == b"" or received.startswith(b"HTTP/1.1 200 OK\r\n")
