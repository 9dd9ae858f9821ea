"""How often one caller may ask: a bucket of tokens each, in this process or in Redis."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from redis.asyncio import Redis

from serving.caching.cache import CacheUnavailableError
from serving.redis_link import RedisLink

_MINUTE = 60.0
_BUCKETS = 100_000
# A bucket is one number: when it will be full again, in seconds of the server's clock, which all share.
_TAKE = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1e6
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local after = full + tonumber(ARGV[1])
if after - now > tonumber(ARGV[2]) then
    return {0, tostring(full - now)}
end
redis.call('SET', KEYS[1], string.format('%.6f', after), 'PX', math.max(1, math.ceil(1000 * (after - now))))
return {1, tostring(after - now)}
"""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a caller may still ask."""

    allowed: bool
    """Whether this request may go on."""
    limit: int
    """How many requests a minute."""
    remaining: int
    """How many more right now."""
    full_in: float
    """Seconds until all of them are there again."""
    retry_in: float
    """Seconds until the next one; 0 if there is one."""

    @classmethod
    def of(cls, limit: int, *, allowed: bool, full_in: float) -> "Allowance":
        """An allowance from when its bucket is full again."""
        interval = _MINUTE / limit
        remaining = math.floor((_MINUTE - full_in) / interval + 1e-6)
        return cls(allowed, limit, remaining, full_in, max(0.0, full_in + interval - _MINUTE))


class RateLimits(Protocol):
    """Counts requests: `limit` a minute, all of them at once if the caller was quiet before.

    This is the generic cell rate algorithm, a token bucket kept as one number (ITU-T I.371).
    """

    async def take(self, caller: str, limit: int) -> Allowance:
        """Count a request of a caller, unless it is one too many.

        Raises:
            CacheUnavailableError: whoever counts did not answer in time.
        """
        ...


class MemoryRateLimits:
    """`RateLimits` of this process alone.

    Args:
        clock: gives the time in seconds; for tests.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._full: OrderedDict[str, float] = OrderedDict()

    async def take(self, caller: str, limit: int) -> Allowance:
        """Count a request of a caller, unless it is one too many."""
        now = self._clock()
        full = max(self._full.get(caller, now), now)
        after = full + _MINUTE / limit
        if after - now > _MINUTE + 1e-9:
            return Allowance.of(limit, allowed=False, full_in=full - now)
        self._full[caller] = after
        self._full.move_to_end(caller)
        if len(self._full) > _BUCKETS:
            self._full.popitem(last=False)
        return Allowance.of(limit, allowed=True, full_in=after - now)


class RedisRateLimits:
    """`RateLimits` of all services that share a Redis server, counted there in one round trip.

    Args:
        link: the way to Redis.
    """

    def __init__(self, link: RedisLink) -> None:
        self._link = link

    async def take(self, caller: str, limit: int) -> Allowance:
        """Count a request of a caller, unless it is one too many.

        Raises:
            CacheUnavailableError: Redis did not answer in time.
        """

        async def take(redis: Redis) -> tuple[int, bytes]:
            script = redis.register_script(_TAKE)
            result: tuple[int, bytes] = await script(
                keys=[f"marquee:rate:{caller}"], args=[_MINUTE / limit, _MINUTE + 1e-6]
            )
            return result

        allowed, full_in = await self._link.call(take)
        return Allowance.of(limit, allowed=bool(allowed), full_in=float(full_in))


class SteadyRateLimits:
    """`RateLimits` that go on in this process while those in Redis cannot be asked.

    Args:
        shared: asked first.
        own: asked while the shared ones do not answer.
        failed: told each time that they do not.
    """

    def __init__(self, shared: RateLimits, own: RateLimits, failed: Callable[[], None]) -> None:
        self._shared = shared
        self._own = own
        self._failed = failed

    async def take(self, caller: str, limit: int) -> Allowance:
        """Count a request of a caller, unless it is one too many."""
        try:
            return await self._shared.take(caller, limit)
        except CacheUnavailableError:
            self._failed()
            return await self._own.take(caller, limit)
