"""Answers: remembered if they can be, computed once if many ask at the same time."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from serving.caching.cache import Cache, CacheUnavailableError
from serving.computing import Computing
from serving.records.request_record import Part, RequestRecord

_LOG = logging.getLogger("marquee.cache")
_Content = TypeVar("_Content")


@dataclass(frozen=True, slots=True)
class Answer(Generic[_Content]):
    """An answer as it goes out."""

    body: bytes
    """The response."""
    content: _Content
    """What was read from it."""
    remembered: bool
    """Whether it comes from before this request."""


class Answers:
    """Finds an answer in a cache, or computes and remembers it.

    Requests of one process that ask for the same at the same time wait for one computation. Across processes
    there is no lock: each computes an answer at most once, which takes milliseconds, while a lock would cost
    every miss a round trip, and a holder that died would make the others wait.

    An answer that does without something is not remembered: the next one may be whole again.

    Args:
        cache: where answers are remembered.
        computing: computes the others.
    """

    def __init__(self, cache: Cache, computing: Computing) -> None:
        self._cache = cache
        self._computing = computing
        self._flights: dict[str, asyncio.Future[tuple[bytes, list[Part]]]] = {}

    async def get(
        self,
        key: str,
        compute: Callable[[], bytes],
        read: Callable[[bytes], _Content],
    ) -> Answer[_Content]:
        """The answer under a key.

        Args:
            key: see `Question.key`.
            compute: makes the response; puts `RequestRecord.current().degraded` into it.
            read: gets what the caller needs from a response; a ValueError says that what was remembered is no
                such response, which then counts as forgotten.
        """
        record = RequestRecord.current()
        while (flight := self._flights.get(key)) is not None:
            try:
                with record.stage("cache"):
                    body, degraded = await asyncio.shield(flight)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not flight.cancelled() or (task is not None and task.cancelling()):
                    raise
                continue  # the request that computed was given up; this one takes over
            record.lookup = "shared"
            for part in degraded:
                record.degrade(part)
            return Answer(body, read(body), remembered=False)

        flight = self._flights[key] = asyncio.get_running_loop().create_future()
        try:
            answer = await self._find(key, compute, read, record)
        except asyncio.CancelledError:
            flight.cancel()
            raise
        except BaseException as error:
            flight.set_exception(error)
            flight.exception()  # Nobody may be waiting, which is no mistake.
            raise
        else:
            flight.set_result((answer.body, list(record.degraded)))
            return answer
        finally:
            del self._flights[key]

    async def remembered(self, key: str) -> bytes | None:
        """What is remembered under a key; None where nothing is, or the cache does not answer."""
        try:
            return await self._cache.get(key)
        except CacheUnavailableError:
            RequestRecord.current().degrade("cache")
            return None

    async def remember(self, key: str, body: bytes) -> None:
        """Remember an answer that was made without `get`, if the cache answers."""
        try:
            await self._cache.put(key, body)
        except CacheUnavailableError:
            RequestRecord.current().degrade("cache")

    async def close(self) -> None:
        """Let go of what the cache holds open."""
        await self._cache.close()

    async def _find(
        self,
        key: str,
        compute: Callable[[], bytes],
        read: Callable[[bytes], _Content],
        record: RequestRecord,
    ) -> Answer[_Content]:
        body = None
        record.lookup = "miss"
        try:
            with record.stage("cache"):
                body = await self._cache.get(key)
        except CacheUnavailableError:
            record.lookup = "unavailable"
            record.degrade("cache")
        if body is not None:
            try:
                content = read(body)
            except ValueError:
                _LOG.warning("What was remembered under %s is no answer; it is computed anew.", key)
            else:
                record.lookup = "hit"
                return Answer(body, content, remembered=True)

        body = await self._computing(compute)
        if not record.degraded:
            try:
                with record.stage("cache"):
                    await self._cache.put(key, body)
            except CacheUnavailableError:
                record.lookup = "unavailable"  # The answer itself is whole.
        return Answer(body, read(body), remembered=False)
