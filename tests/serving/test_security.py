"""Who may do what, how often, with how much, and for how long."""

import asyncio
import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from recommender.errors import ConfigurationError
from serving.access.security import Access, AdminAccess, WriteAccess
from serving.app import create_app
from serving.settings import Settings

READ = "/api/v1/recommendations/3"
API_KEY = "an-api-key-of-the-tests"
ADMIN_KEY = "an-admin-key-of-the-tests"
Connect = Callable[..., AbstractContextManager[TestClient]]


async def write(_: WriteAccess) -> str:
    """A route for who may write."""
    return "written"


async def administer(caller: AdminAccess) -> str:
    """A route for who may administer."""
    return caller.name


async def length(request: Request) -> int:
    """A route that reads a body."""
    return len(await request.body())


async def slow() -> None:
    """A route that never answers."""
    await asyncio.Event().wait()


@pytest.fixture
def connect(small_releases: Path) -> Connect:
    """Clients of services that have more routes than a service has by itself."""

    @contextmanager
    def connected(*, base_url: str = "http://testserver", **settings: Any) -> Iterator[TestClient]:
        app = create_app(Settings(releases=small_releases, **settings))
        page = app.router.routes.pop()
        app.add_api_route("/api/v1/write", write, methods=["POST"])
        app.add_api_route("/api/v1/administer", administer, methods=["POST"])
        app.add_api_route("/api/v1/length", length, methods=["POST"])
        app.add_api_route("/api/v1/slow", slow)
        app.router.routes.append(page)
        with TestClient(app, base_url=base_url, raise_server_exceptions=False) as client:
            yield client

    return connected


def statuses(client: TestClient, headers: dict[str, str] | None = None) -> tuple[int, int, int]:
    """Of reading, writing and administering."""
    return (
        client.get(READ, headers=headers).status_code,
        client.post("/api/v1/write", headers=headers).status_code,
        client.post("/api/v1/administer", headers=headers).status_code,
    )


@pytest.mark.parametrize("scheme", ["X-API-Key", "Authorization"])
def test_reading_is_open_writing_takes_a_key_and_administering_an_admin_key(
    connect: Connect, scheme: str
) -> None:
    def given_as(key: str) -> dict[str, str]:
        return {scheme: f"Bearer {key}" if scheme == "Authorization" else key}

    with connect(api_keys=[API_KEY], admin_keys=[ADMIN_KEY]) as client:
        assert statuses(client) == (200, 401, 401)
        assert statuses(client, given_as(API_KEY)) == (200, 200, 403)
        assert statuses(client, given_as(ADMIN_KEY)) == (200, 200, 200)
        assert statuses(client, given_as("a-key-of-nobody-at-all")) == (401, 401, 401)
        refused = client.post("/api/v1/write")
        assert refused.headers["www-authenticate"] == "Bearer"
        assert refused.headers["content-type"] == "application/problem+json"
        assert "X-API-Key" in refused.json()["detail"]


def test_reading_takes_a_key_where_it_is_set_so(connect: Connect) -> None:
    with connect(api_keys=[API_KEY], reads="key") as client:
        paths = (READ, "/api/v1/users", "/api/v1/users/3/history", "/api/v1/nowhere", "/metrics")
        assert {client.get(path).status_code for path in paths} == {401}
        assert client.get(READ, headers={"X-API-Key": API_KEY}).status_code == 200
        assert client.get(READ).status_code == 401  # also once it is a repeated request
        assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200


def test_without_keys_nobody_writes(connect: Connect) -> None:
    with connect() as client:
        assert statuses(client) == (200, 401, 401)
        assert statuses(client, {"X-API-Key": ""}) == (401, 401, 401)


def test_in_development_this_machine_writes_without_a_key(connect: Connect) -> None:
    with connect(development=True, base_url="http://localhost:8000") as client:
        assert statuses(client) == (200, 200, 401)
        # A page of another site that has its own name lead here.
        assert statuses(client, {"Host": "rebound.example:8000"}) == (200, 401, 401)
        assert statuses(client, {"Host": "[::1]:8000"}) == (200, 200, 401)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "movies.example"])
def test_development_is_refused_where_others_can_reach_it(host: str) -> None:
    with pytest.raises(ConfigurationError, match="lets anybody write"):
        Settings.from_environment({"MARQUEE_DEVELOPMENT": "true", "MARQUEE_HOST": host})


def test_development_is_said_aloud(start_service: Callable[..., Any]) -> None:
    service = start_service(development="true")
    service.stop()
    assert any("DEVELOPMENT: anybody on this machine may write" in line for line in service.said)


def test_keys_come_from_a_file_too(connect: Connect, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"# of the shop\n{API_KEY}\n\n  {ADMIN_KEY}  \n")
    with connect(api_keys_file=path) as client:
        for key in (API_KEY, ADMIN_KEY):
            assert client.post("/api/v1/write", headers={"X-API-Key": key}).status_code == 200
    with pytest.raises(ConfigurationError, match=r"MARQUEE_ADMIN_KEYS_FILE.*FileNotFoundError"):
        Access.from_settings(Settings(admin_keys_file=tmp_path / "nowhere"))


def test_a_key_that_could_be_guessed_is_refused_without_telling_it() -> None:
    with pytest.raises(ConfigurationError, match="Key 2 of MARQUEE_API_KEYS has 7 characters") as refused:
        Access.from_settings(Settings(api_keys=[API_KEY, "hunter2"]))
    assert "hunter2" not in str(refused.value)


def test_secrets_are_in_no_message(
    connect: Connect, small_releases: Path, caplog: pytest.LogCaptureFixture
) -> None:
    variables = {
        "MARQUEE_API_KEYS": f"{API_KEY}, {API_KEY}2",
        "MARQUEE_REDIS_URL": "redis://:hunter2@127.0.0.1:1/0",
        "MARQUEE_PORT": "high",
    }
    with pytest.raises(ConfigurationError) as refused:
        Settings.from_environment(variables)
    settings = Settings.from_environment(variables | {"MARQUEE_PORT": "1"})
    assert len(settings.api_keys) == 2
    with caplog.at_level(logging.DEBUG), connect(api_keys=[API_KEY]) as client:
        client.post("/api/v1/write", headers={"X-API-Key": API_KEY})
        client.post("/api/v1/write", headers={"Authorization": "Bearer a-key-of-nobody-at-all"})
    callers = [
        json.loads(line)["caller"] for line in caplog.messages if "/api/v1/write" in line and line[0] == "{"
    ]
    assert re.fullmatch("key [0-9a-f]{12}", callers[0])
    assert callers[1] == "testclient"
    everything = caplog.text + str(refused.value) + repr(settings) + settings.model_dump_json()
    assert not any(secret in everything for secret in (API_KEY, "hunter2", "nobody"))


@given(st.lists(st.tuples(st.sampled_from([b"x-api-key", b"authorization", b"host", b"x"]), st.binary())))
def test_no_header_gives_rights_that_its_key_does_not(headers: list[tuple[bytes, bytes]]) -> None:
    access = Access([API_KEY], [ADMIN_KEY], open_rights=["read"])
    assert access.caller(headers, "192.0.2.1").rights <= {"read"}


def test_an_address_of_version_6_counts_as_its_network() -> None:
    access = Access(open_rights=["read"])
    names = {access.caller([], f"2001:db8:0:1::{n}").name for n in (1, 2, "a:b")}
    assert names == {"2001:db8:0:1::/64"}
    assert access.caller([], "192.0.2.1").name == "192.0.2.1"


def test_who_asks_too_often_is_told_when_to_come_back(connect: Connect) -> None:
    limits = {"requests_per_minute_address": 3, "requests_per_minute_key": 5}
    with connect(api_keys=[API_KEY], **limits) as client:
        answers = [client.get(READ) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert [answer.headers["ratelimit-policy"] for answer in answers] == 4 * ['"minute";q=3;w=60']
        assert answers[0].headers["ratelimit"] == '"minute";r=2;t=20'
        assert answers[3].headers["ratelimit"].startswith('"minute";r=0;t=')
        assert 1 <= int(answers[3].headers["retry-after"]) <= 20
        assert answers[3].headers["content-type"] == "application/problem+json"
        assert answers[3].headers["x-request-id"] == answers[3].json()["request_id"]

        by_key = [client.get(READ, headers={"X-API-Key": API_KEY}).status_code for _ in range(6)]
        assert by_key == 5 * [200] + [429]
        # A key of nobody counts for the address; health and the page are not counted.
        assert client.get(READ, headers={"X-API-Key": "a-key-of-nobody-at-all"}).status_code == 429
        assert {client.get(path).status_code for path in ("/", "/healthz", "/readyz", "/app.js")} == {200}


def test_a_header_about_the_client_is_believed_only_from_a_trusted_proxy(connect: Connect) -> None:
    def statuses_of_many(client: TestClient) -> list[int]:
        return [client.get(READ, headers={"X-Forwarded-For": f"192.0.2.{n}"}).status_code for n in range(3)]

    with connect(requests_per_minute_address=1) as client:
        assert statuses_of_many(client) == [200, 429, 429]
    with connect(requests_per_minute_address=1, trusted_proxies="testclient") as client:
        assert statuses_of_many(client) == [200, 200, 200]
        # What the client itself put before the proxy's own entry is not believed.
        again = client.get(READ, headers={"X-Forwarded-For": "198.51.100.1, 192.0.2.1"})
        assert again.status_code == 429


def test_pages_of_other_sites_may_ask_only_where_it_is_set_so(connect: Connect) -> None:
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    with connect() as client:
        assert client.options(READ, headers=asked).status_code == 405
        assert "access-control-allow-origin" not in client.get(READ, headers=asked).headers
    with connect(cors_origins="https://shop.example,https://other.example") as client:
        assert client.options(READ, headers=asked).status_code == 200
        answer = client.get(READ, headers=asked)
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        assert "RateLimit" in answer.headers["access-control-expose-headers"]
        stranger = client.get(READ, headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in stranger.headers


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused(connect: Connect, chunked: bool) -> None:
    with connect(body_bytes=1000) as client:

        def post(size: int) -> Any:
            body = (b"x" * 100 for _ in range(size // 100)) if chunked else b"x" * size
            return client.post("/api/v1/length", content=body)

        assert (post(1000).status_code, post(1000).json()) == (200, 1000)
        refused = post(1100)
        assert (refused.status_code, refused.json()["detail"]) == (413, "The body is larger than 1000 bytes.")
        assert refused.headers["content-type"] == "application/problem+json"


def test_a_request_that_takes_too_long_is_given_up(connect: Connect) -> None:
    with connect(request_seconds=0.05) as client:
        answer = client.get("/api/v1/slow")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["detail"].startswith("This took longer than 0.05 s")
        assert answer.headers["content-security-policy"]
        assert client.get("/healthz").status_code == 200


def test_the_document_says_which_routes_take_a_key(connect: Connect) -> None:
    with connect() as client:
        document = client.get("/openapi.json").json()
    assert set(document["components"]["securitySchemes"]) == {"APIKeyHeader", "HTTPBearer"}
    assert document["paths"]["/api/v1/write"]["post"]["security"] == [
        {"APIKeyHeader": []},
        {"HTTPBearer": []},
    ]
    assert "security" not in document["paths"]["/api/v1/recommendations/{user_id}"]["get"]
