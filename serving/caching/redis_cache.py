"""Answers remembered in Redis, for several services at once."""

from serving.redis_link import RedisLink


class RedisCache:
    """A `Cache` in a Redis server, which forgets by itself what is old.

    Args:
        link: the way to Redis.
        seconds: how long it remembers a value.
    """

    def __init__(self, link: RedisLink, seconds: float) -> None:
        self._link = link
        self._milliseconds = max(1, round(1000 * seconds))

    async def get(self, key: str) -> bytes | None:
        """What was put under a key, or None if it is forgotten.

        Raises:
            CacheUnavailableError: Redis did not answer in time.
        """
        value = await self._link.call(lambda redis: redis.get(key))
        return value.encode() if isinstance(value, str) else value

    async def put(self, key: str, value: bytes) -> None:
        """Remember a value under a key.

        Raises:
            CacheUnavailableError: Redis did not answer in time.
        """
        await self._link.call(lambda redis: redis.set(key, value, px=self._milliseconds))

    async def close(self) -> None:
        """Close the connections to Redis."""
        await self._link.close()
