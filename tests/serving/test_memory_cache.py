"""The cache in this process."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from serving.caching.memory_cache import MemoryCache


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_value_is_remembered_until_it_is_old() -> None:
    async def remember() -> None:
        clock = Clock()
        cache = MemoryCache(2, 10.0, clock=clock)
        await cache.put("a", b"1")
        clock.now = 9.9
        assert await cache.get("a") == b"1"
        clock.now = 10.0
        assert await cache.get("a") is None
        assert len(cache) == 0

    asyncio.run(remember())


def test_what_was_used_longest_ago_is_forgotten_first() -> None:
    async def remember() -> None:
        cache = MemoryCache(2, 10.0, clock=Clock())
        await cache.put("a", b"1")
        await cache.put("b", b"2")
        await cache.get("a")
        await cache.put("c", b"3")
        assert [await cache.get(key) for key in "abc"] == [b"1", None, b"3"]

    asyncio.run(remember())


def test_a_cache_of_nothing_remembers_nothing() -> None:
    async def remember() -> None:
        cache = MemoryCache(0, 10.0)
        await cache.put("a", b"1")
        assert await cache.get("a") is None

    asyncio.run(remember())


@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.binary(max_size=40)), max_size=60),
    st.integers(0, 6),
    st.integers(0, 100),
)
def test_it_never_holds_more_than_it_may_and_never_another_value(
    puts: list[tuple[str, bytes]], entries: int, size: int
) -> None:
    async def remember() -> None:
        cache = MemoryCache(entries, 10.0, size=size)
        last: dict[str, bytes] = {}
        for key, value in puts:
            await cache.put(key, value)
            last[key] = value
            held = {key: value for key in last if (value := await cache.get(key)) is not None}
            assert len(held) == len(cache) <= entries
            assert sum(len(value) for value in held.values()) <= size
            assert held.items() <= last.items()

    asyncio.run(remember())
