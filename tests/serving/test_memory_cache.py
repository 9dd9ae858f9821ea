"""The cache in this process."""

from concurrent.futures import ThreadPoolExecutor

from serving.cache import MemoryCache


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_value_is_remembered_until_it_is_old() -> None:
    clock = Clock()
    cache = MemoryCache(2, 10.0, clock=clock)
    cache.put("a", b"1")
    clock.now = 9.9
    assert cache.get("a") == b"1"
    clock.now = 10.0
    assert cache.get("a") is None
    assert len(cache) == 0


def test_what_was_used_longest_ago_is_forgotten_first() -> None:
    cache = MemoryCache(2, 10.0, clock=Clock())
    cache.put("a", b"1")
    cache.put("b", b"2")
    cache.get("a")
    cache.put("c", b"3")
    assert [cache.get(key) for key in "abc"] == [b"1", None, b"3"]


def test_a_cache_of_nothing_remembers_nothing() -> None:
    cache = MemoryCache(0, 10.0)
    cache.put("a", b"1")
    assert cache.get("a") is None


def test_many_threads_never_fill_it_beyond_its_bound() -> None:
    cache = MemoryCache(50, 10.0, clock=Clock())

    def work(thread: int) -> None:
        for n in range(500):
            cache.put(f"{thread}:{n % 70}", b"x")
            cache.get(f"{n % 8}:{n % 70}")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    assert len(cache) == 50
