"""Requests that mean harm: each is answered or refused with a problem document, and the service goes on."""

import contextlib
import http.client
import io
import json
import logging
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx
import psutil

from benchmarks.faults.load import LONGEST_S, SHOWN
from benchmarks.faults.running_service import RunningService

logger = logging.getLogger("recommender.benchmarks.faults")

_PROBLEM: Final = "application/problem+json"
_JSON: Final = {"Host": "localhost", "Content-Type": "application/json"}
_BYTES_IN_MEGABYTE: Final = 1e6


@dataclass(frozen=True, slots=True)
class HostileRequest:
    """One request, as it goes over the wire."""

    name: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """What came back."""

    status: int
    """0 where the connection was closed without an answer."""
    content_type: str
    body: bytes


def hostile_requests(releases: Path, folder: Path) -> dict[str, Any]:
    """Send every hostile request to a service, and look after each whether it still answers as before.

    Args:
        releases: folder of releases with a live one.
        folder: for ratings and events.
    """
    requests = list(every_hostile_request())
    violations: list[str] = []
    statuses: dict[int, int] = {}
    refused = 0
    with RunningService(
        folder,
        releases=releases,
        ratings=f"sqlite:///{folder}/ratings.db",
        development=True,
        requests_per_minute_address=0,
    ) as service:
        process = psutil.Process(service.process.pid)
        with httpx.Client(base_url=service.address, timeout=LONGEST_S) as client:

            def as_ever() -> tuple[str, Any]:
                answer = client.get("/api/v1/recommendations/7?limit=20&explain=true&use_cache=false")
                answer.raise_for_status()
                return answer.text, client.get("/readyz").raise_for_status().json()["release"]

            before, memory = as_ever(), process.memory_info().rss
            for number, request in enumerate(requests):
                answer = sent(service.address, request.raw)
                statuses[answer.status] = statuses.get(answer.status, 0) + 1
                refused += answer.content_type == _PROBLEM
                if (wrong := _wrong(answer, head_only=request.raw.startswith(b"HEAD "))) is not None:
                    violations.append(f"{request.name}: {wrong}")
                if as_ever() != before:
                    violations.append(f"{request.name}: the service answers otherwise since")
                if (number + 1) % 50 == 0:
                    logger.info("%d of %d hostile requests", number + 1, len(requests))
        grown = process.memory_info().rss - memory
        tracebacks = sum("Traceback" in line for line in service.said)
    if tracebacks:
        violations.append(f"{tracebacks} tracebacks in the log")
    return {
        "requests": len(requests),
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
        "server_errors": sum(count for status, count in statuses.items() if status >= 500),
        "refused_with_a_problem_document": refused,
        "memory_grown_mb": round(grown / _BYTES_IN_MEGABYTE, 1),
        "violations": violations[:SHOWN],
    }


def sent(address: str, raw: bytes) -> RawAnswer:
    """What a service answers to bytes.

    Args:
        address: such as `http://127.0.0.1:8000`.
        raw: a request, whole or not.
    """
    server = urlsplit(address)
    with socket.create_connection((server.hostname, server.port), timeout=LONGEST_S) as connection:
        # It may be refused before the end; the answer is there all the same.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(raw)
        answer = http.client.HTTPResponse(connection, method="HEAD" if raw.startswith(b"HEAD ") else None)
        try:
            answer.begin()
            return RawAnswer(answer.status, answer.headers.get_content_type(), answer.read())
        except (http.client.HTTPException, ConnectionResetError):
            return RawAnswer(0, "", b"")


def _wrong(answer: RawAnswer, *, head_only: bool) -> str | None:
    """What is wrong with an answer, if anything is."""
    if not 200 <= answer.status < 500:
        return f"status {answer.status}: {answer.body[:300]!r}"
    if answer.status < 400:
        return None
    if answer.content_type != _PROBLEM:
        return f"status {answer.status} as {answer.content_type}: {answer.body[:300]!r}"
    if head_only:
        return None
    problem = json.loads(answer.body or "{}")
    if problem.get("status") != answer.status or not problem.get("detail") or len(answer.body) > 20_000:
        return f"status {answer.status} with {answer.body[:300]!r}"
    return None


def every_hostile_request() -> Iterator[HostileRequest]:
    """More than 200 requests: bodies, searches, paths, headers, and what is no HTTP."""
    for path, good in _POSTED.items():
        for name, body in _bodies(good):
            yield HostileRequest(f"body of {path}: {name}", _request("POST", path, _JSON, body))
    for name, query in _SEARCHES.items():
        for path in ("/api/v1/movies?query=", "/api/v1/recommendations/7?genres="):
            yield HostileRequest(f"{path} {name}", _request("GET", path + query))
    for path in _PATHS:
        yield HostileRequest(f"path {path[:60]}", _request("GET", path))
    for name, headers in _HEADERS.items():
        yield HostileRequest(f"header: {name}", _request("GET", "/api/v1/movies?limit=1", headers))
    for method in ("PUT", "PATCH", "OPTIONS", "TRACE", "DELETE", "HEAD", "PROPFIND"):
        yield HostileRequest(f"method {method}", _request(method, "/api/v1/movies"))
    for name, raw in _RAW.items():
        yield HostileRequest(f"raw: {name}", raw)


def _request(method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    buffer.write(f"{method} {target} HTTP/1.1\r\n".encode("latin-1"))
    for name, value in {"Host": "localhost", **(headers or {})}.items():
        buffer.write(f"{name}: {value}\r\n".encode("latin-1"))
    if body:
        buffer.write(b"Content-Length: %d\r\n" % len(body))
    buffer.write(b"Connection: close\r\n\r\n")
    buffer.write(body)
    return buffer.getvalue()


_RATING: Final = {"movie_id": 5, "rating": 4.0}
_POSTED: Final[dict[str, dict[str, Any]]] = {
    "/api/v1/users/4711/ratings": _RATING,
    "/api/v1/recommendations": {"ratings": [_RATING], "limit": 3},
    "/api/v1/recommendations:batch": {"user_ids": [1, 2], "limit": 3},
}


def _bodies(good: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Bodies that are nothing like a good one, or a good one but for one thing."""
    text = json.dumps(good)
    yield from {
        "none": b" ",
        "no JSON": b"movie_id=5&rating=4",
        "half of it": text[: len(text) // 2].encode(),
        "more behind it": (text + text).encode(),
        "null": b"null",
        "a number": b"1e400",
        "text": b'"' + b"x" * 100_000 + b'"',
        "lists 100,000 deep": b"[" * 100_000,
        "objects 50,000 deep": b'{"a":' * 50_000,
        "closed lists 500 deep": b"[" * 500 + b"]" * 500,
        "UTF-16": text.encode("utf-16"),
        "UTF-8 with a mark": b"\xef\xbb\xbf" + text.encode(),
        "no UTF-8": text.encode()[:-1] + b',"\xff\xfe":1}',
        "bytes of 0": b"\x00" * 1_000,
        "a key of 0": text.encode()[:-1] + b',"\\u0000":1}',
        "half a surrogate": text.encode()[:-1] + b',"\\ud800":"\\udfff"}',
        "a prototype": text.encode()[:-1] + b',"__proto__":{"admin":true},"constructor":{}}',
        "10,000 keys": json.dumps({**good, **{f"k{number}": number for number in range(10_000)}}).encode(),
        "its own keys twice": (text[:-1] + "," + text[1:]).encode(),
        "larger than is let in": b'{"a":"' + b"x" * 2_000_000 + b'"}',
        "a list of a million": b"[" + b"1," * 500_000 + b"1]",
        "XML": b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        "a pickle": b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x8c\x06system\x93.",
    }.items()
    first = next(iter(good))
    for name, value in {
        "NaN": "NaN",
        "Infinity": "-Infinity",
        "1e999": "1e999",
        "5,000 digits": "9" * 5_000,
        "2 to the 64": str(2**64),
        "negative": "-1",
        "true": "true",
        "an object": '{"$gt": ""}',
        "nested": "[" * 200 + "]" * 200,
        "text of SQL": '"1; DROP TABLE collected_ratings; --"',
        "a long list": json.dumps([good[first]] * 5_000),
    }.items():
        others = {key: other for key, other in good.items() if key != first}
        rest = json.dumps(others)[1:]
        yield f"{first} is {name}", f'{{"{first}": {value}, {rest}'.encode()


_SEARCHES: Final = {
    name: quote(text)
    for name, text in {
        "SQL": "' OR '1'='1'; DROP TABLE movies; --",
        "SQL union": "x' UNION SELECT sql FROM sqlite_master--",
        "a script": "<script>alert(1)</script>",
        "a template": "{{7*7}}${7*7}#{7*7}",
        "a regular expression": "(a+)+$" * 10,
        "a JNDI address": "${jndi:ldap://127.0.0.1/a}",
        "a command": "$(reboot); `reboot` | reboot",
        "a path": "../../../../etc/passwd\x00.png",
        "a format": "%s%s%n%x{0.__class__}",
        "bytes of 0": "\x00\x00\x00",
        "spaces of all kinds": "\u2003\u200b\u00a0\ufeff",
        "right to left": "\u202e\u2066matrix\u2069",
        "marks upon marks": "e" + "\u0301" * 90,
        "emoji": "👩‍👩‍👧‍👦" * 10,
        "lines": "a\r\nSet-Cookie: b=c\r\n\r\n",
        "too long": "a" * 5_000,
    }.items()
} | {
    "no UTF-8": "%ff%fe%fa",
    "half an escape": "%e4%",
    "no escape": "%zz%u1234",
    "many values": "a&query=b&query=c&genres=Drama" * 50,
}
_PATHS: Final = [
    "/../../../../etc/passwd",
    "/..%2f..%2f..%2fetc/passwd",
    "/%2e%2e/%2e%2e/app.py",
    "/..\\..\\app.py",
    "/%5c..%5c..%5capp.py",
    "/....//....//app.py",
    "/app.js%00.html",
    "/%00",
    "//etc/passwd",
    "///",
    "/static/%252e%252e/app.py",
    "/index.html/..",
    "/C:/Windows/win.ini",
    "/app.js/",
    "/%c0%ae%c0%ae/app.py",
    "/%ff%fe",
    "/" + "a" * 300,
    "/" + "a/" * 5_000,
    "/" + "%41" * 3_000,
    "/api/v1/../../app.py",
    "/api/v1/recommendations/" + "9" * 400,
    "/api/v1/recommendations/-1",
    "/api/v1/recommendations/1e3",
    "/api/v1/recommendations/%31",
    "/api/v1/recommendations/%D9%A1",
    "/api/v1/recommendations/7;admin=1",
    "/api/v1/recommendations/7?limit=1&limit=100000",
    "/api/v1/recommendations/7?diversity=nan",
    "/api/v1/recommendations/7?year_from=99999999999999999999",
    "/api/v1/movies/..%2f..%2fetc%2fpasswd",
    "/api/v1/movies?offset=" + "9" * 30,
    "/api/v1/movies?" + "&".join(f"p{number}={number}" for number in range(2_000)),
    "/api/v1/releases/..%2f..%2f..",
    "/api/v1/releases/current:activate",
    "/metrics/../healthz",
    "/docs%0d%0aX-Injected:1",
]
_HEADERS: Final = {
    "a key of 10,000": {"X-API-Key": "k" * 10_000},
    "a key that is no text": {"X-API-Key": "\xff\xfe\x80"},
    "a bearer of nothing": {"Authorization": "Bearer "},
    "a bearer of much": {"Authorization": "Bearer " + "x" * 8_000},
    "a basic one": {"Authorization": "Basic !!!!"},
    "a forged address": {"X-Forwarded-For": "127.0.0.1, ::1, ' OR 1=1", "Forwarded": "for=127.0.0.1"},
    "another host": {"Host": "evil.example:99999"},
    "no host": {"Host": ""},
    "a request id that is none": {"X-Request-ID": "a" * 5_000},
    "a request id with JSON": {"X-Request-ID": '"}{"event": "forged'},
    "a tag of 100": {"If-None-Match": ", ".join(f'"{number}"' for number in range(100))},
    "a tag that is none": {"If-None-Match": '"\x80\xff'},
    "a range": {"Range": "bytes=0-0,0-0,0-0,0-0,99999999999999999999-"},
    "a date": {"If-Modified-Since": "Thu, 99 Foo 99999 99:99:99 GMT"},
    "an expectation": {"Expect": "200-maybe"},
    "an upgrade": {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "x",
        "Sec-WebSocket-Version": "13",
    },
    "an upgrade to HTTP/2": {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": ""},
    "another origin": {"Origin": "null", "Access-Control-Request-Method": "DELETE"},
    "500 of them": {f"X-{number}": "v" for number in range(500)},
    "a megabyte of them": {f"X-{number}": "v" * 1_000 for number in range(1_000)},
    "a cookie of 60,000": {"Cookie": "a=" + "b" * 60_000},
    "an encoding of the body": {"Content-Encoding": "gzip"},
    "languages": {"Accept-Language": "*;q=9" + ",x;q=0.1" * 1_000, "Accept": "\\"},
}
_RATE: Final = b"POST /api/v1/users/4711/ratings HTTP/1.1\r\nHost: localhost\r\n"
_RAW: Final = {
    "no HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    "text": b"hello, is anybody there?\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "a version that is none": b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "HTTP/2 at once": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "CONNECT": b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "a whole address": b"GET http://127.0.0.1:22/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "a target of *": b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "bytes beyond ASCII in the target": b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "a header without a colon": b"GET / HTTP/1.1\r\nHost localhost\r\n\r\n",
    "a 0 in a header": b"GET / HTTP/1.1\r\nHost: local\x00host\r\n\r\n",
    "a folded header": b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n c\r\nConnection: close\r\n\r\n",
    "two lengths": _RATE + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}",
    "a length and chunks": _RATE + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a negative length": _RATE + b"Content-Length: -5\r\n\r\n{}",
    "a length of 30 digits": _RATE + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n{}",
    "a chunk that is none": _RATE + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "chunks without an end in sight": _RATE
    + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    + b"10000\r\n"
    + b"[" * 65_536
    + b"\r\n"
    + (b"10000\r\n" + b"[" * 65_536 + b"\r\n") * 31
    + b"0\r\n\r\n",
    "another coding": _RATE + b"Transfer-Encoding: gzip, chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
    "a request within the body": _RATE
    + b"Content-Length: 4\r\nConnection: close\r\n\r\n{}\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
    "a header of 4 megabytes": b"GET / HTTP/1.1\r\nX-A: " + b"a" * 4_000_000 + b"\r\n\r\n",
    "a target of 4 megabytes": b"GET /" + b"a" * 4_000_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "100,000 headers": b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 100_000 + b"\r\n",
}
