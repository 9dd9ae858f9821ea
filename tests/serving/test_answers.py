"""Answers: remembered, computed once, whole or not remembered."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from serving.caching.answers import Answer, Answers
from serving.caching.memory_cache import MemoryCache
from serving.computing import Computing
from serving.records.request_record import RequestRecord


async def ask(answers: Answers, key: str, compute: Callable[[], bytes]) -> tuple[Answer[int], RequestRecord]:
    """As one request does."""
    record = RequestRecord("id")
    record.become_current()
    return await answers.get(key, compute, int), record


def test_many_who_ask_the_same_wait_for_one_computation() -> None:
    computed = []
    arrived = threading.Event()

    def compute() -> bytes:
        arrived.wait(10)
        computed.append(1)
        return b"7"

    async def stampede() -> None:
        answers = Answers(MemoryCache(10, 60), Computing(waits=True))
        tasks = [asyncio.create_task(ask(answers, "a", compute)) for _ in range(200)]
        await asyncio.sleep(0)
        arrived.set()
        found = await asyncio.gather(*tasks)
        assert {answer.content for answer, _ in found} == {7}
        assert sorted(str(record.lookup) for _, record in found) == ["miss"] + 199 * ["shared"]
        again, record = await ask(answers, "a", compute)
        assert (again.remembered, record.lookup, set(record.seconds)) == (True, "hit", {"cache"})

    asyncio.run(stampede())
    assert len(computed) == 1


def test_whoever_waits_takes_over_when_the_first_is_given_up() -> None:
    leave = threading.Event()
    started = threading.Event()

    def slow() -> bytes:
        started.set()
        leave.wait(10)
        return b"1"

    async def give_up() -> None:
        answers = Answers(MemoryCache(10, 60), Computing(waits=True))
        first = asyncio.create_task(ask(answers, "a", slow))
        await asyncio.to_thread(started.wait, 10)
        second = asyncio.create_task(ask(answers, "a", lambda: b"2"))
        await asyncio.sleep(0)
        first.cancel()
        answer, record = await second
        assert (answer.content, record.lookup) == (2, "miss")
        assert first.cancelled()
        leave.set()

    asyncio.run(give_up())


def test_who_waits_and_is_given_up_at_the_same_moment_takes_nothing_over() -> None:
    leave = threading.Event()
    started = threading.Event()

    def slow() -> bytes:
        started.set()
        leave.wait(10)
        return b"1"

    async def give_up() -> None:
        answers = Answers(MemoryCache(10, 60), Computing(waits=True))
        tasks = [asyncio.create_task(ask(answers, "a", slow)) for _ in range(3)]
        await asyncio.to_thread(started.wait, 10)
        for task in tasks:
            task.cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(error) for error in found] == 3 * [asyncio.CancelledError]
        leave.set()

    asyncio.run(give_up())


def test_one_who_gives_up_waiting_disturbs_nobody() -> None:
    leave = threading.Event()

    def slow() -> bytes:
        leave.wait(10)
        return b"1"

    async def give_up() -> None:
        answers = Answers(MemoryCache(10, 60), Computing(waits=True))
        tasks = [asyncio.create_task(ask(answers, "a", slow)) for _ in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.sleep(0)
        leave.set()
        assert [(await task)[0].content for task in (tasks[0], tasks[2])] == [1, 1]
        assert tasks[1].cancelled()

    asyncio.run(give_up())


def test_a_failure_reaches_all_who_wait_and_is_not_remembered() -> None:
    def fail() -> bytes:
        raise RuntimeError("no")

    async def try_twice() -> None:
        answers = Answers(MemoryCache(10, 60), Computing(waits=True))
        found = await asyncio.gather(*(ask(answers, "a", fail) for _ in range(3)), return_exceptions=True)
        assert [type(error) for error in found] == 3 * [RuntimeError]
        answer, _ = await ask(answers, "a", lambda: b"5")
        assert answer.content == 5

    asyncio.run(try_twice())


def test_an_answer_that_does_without_something_says_so_to_all_and_is_not_remembered() -> None:
    def without_index() -> bytes:
        RequestRecord.current().degrade("index")
        return b"1"

    async def ask_thrice() -> None:
        answers = Answers(MemoryCache(10, 60), Computing(waits=True))
        found = await asyncio.gather(*(ask(answers, "a", without_index) for _ in range(2)))
        assert [record.degraded for _, record in found] == [["index"], ["index"]]
        answer, record = await ask(answers, "a", lambda: b"2")
        assert (answer.content, answer.remembered, record.degraded) == (2, False, [])

    asyncio.run(ask_thrice())


def test_what_cannot_be_read_counts_as_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    async def spoil() -> None:
        cache = MemoryCache(10, 60)
        await cache.put("a", b"rubbish")
        answers = Answers(cache, Computing(waits=True))
        assert (await ask(answers, "a", lambda: b"3"))[0].content == 3
        assert (await ask(answers, "a", lambda: b"4"))[0].content == 3

    asyncio.run(spoil())
    assert "remembered under a is no answer" in caplog.text
