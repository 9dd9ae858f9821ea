"""The way to Redis: bounded in time, and left alone for a while when it fails."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from recommender.errors import ConfigurationError
from serving.caching.cache import CacheUnavailableError

_LOG = logging.getLogger("marquee.redis")
_CONNECTIONS = 64
_FAILURES = 3
_Result = TypeVar("_Result")


class RedisLink:
    """Talks to one Redis server from one event loop.

    A call takes at most `seconds`, from waiting for a connection to the last byte of the answer, and is never
    repeated. After three failures in a row Redis is left alone for `pause` seconds; then one call tries while
    the others still do without.

    Args:
        url: `redis://`, `rediss://` (TLS) or `unix://`, with user, password and database if needed.
        seconds: how long a call may take.
        pause: how long Redis is left alone, in seconds.
        clock: gives the time in seconds; for tests.

    Raises:
        ConfigurationError: the address cannot be read.
    """

    def __init__(
        self, url: str, *, seconds: float, pause: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        try:
            pool = BlockingConnectionPool.from_url(
                url, max_connections=_CONNECTIONS, timeout=seconds, retry=Retry(NoBackoff(), 0)
            )
        except ValueError as error:
            # Without the address, which may hold a password.
            raise ConfigurationError(
                "The address of Redis (MARQUEE_REDIS_URL) cannot be read. It looks like "
                "redis://:PASSWORD@HOST:6379/0, or rediss://... for TLS."
            ) from error
        self._redis = Redis.from_pool(pool)
        self._seconds = seconds
        self._pause = pause
        self._clock = clock
        self._failures = 0
        self._try_again = 0.0

    @property
    def available(self) -> bool:
        """Whether Redis answered lately."""
        return self._failures < _FAILURES

    async def call(self, operation: Callable[["Redis"], Awaitable[_Result]]) -> _Result:
        """What Redis answers to an operation.

        Raises:
            CacheUnavailableError: it did not answer in time, refused, or is being left alone.
        """
        if not self.available:
            if self._clock() < self._try_again:
                raise CacheUnavailableError("Redis did not answer lately and is left alone for some seconds.")
            # Nobody else tries before this has come to an end.
            self._try_again = self._clock() + self._seconds + self._pause
        try:
            async with asyncio.timeout(self._seconds):
                result = await operation(self._redis)
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            self._failed(error)
            raise CacheUnavailableError(f"Redis failed: {type(error).__name__}.") from error
        if not self.available:
            _LOG.info("Redis answers again.")
        self._failures = 0
        return result

    async def close(self) -> None:
        """Close every connection."""
        await self._redis.aclose()

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        if self._failures >= _FAILURES:
            self._try_again = self._clock() + self._pause
        if self._failures == _FAILURES:
            _LOG.warning(
                "Redis does not answer (%s: %s). Doing without, and trying again every %g s.",
                type(error).__name__,
                str(error) or f"nothing within {self._seconds:g} s",
                self._pause,
            )
