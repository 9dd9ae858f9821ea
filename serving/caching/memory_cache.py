"""Answers remembered in this process."""

import time
from collections import OrderedDict
from collections.abc import Callable


class MemoryCache:
    """A `Cache` that forgets what is old, and what was used longest ago when it is full.

    Args:
        entries: how many values it holds at most; 0 remembers nothing.
        seconds: how long it remembers one.
        size: how many bytes its values take at most.
        clock: gives the time in seconds; for tests.
    """

    def __init__(
        self,
        entries: int,
        seconds: float,
        *,
        size: int = 64 * 2**20,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._entries = entries
        self._seconds = seconds
        self._size = size
        self._clock = clock
        self._held = 0
        self._values: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    async def get(self, key: str) -> bytes | None:
        """What was put under a key, or None if it is forgotten."""
        found = self._values.get(key)
        if found is None:
            return None
        expires, value = found
        if self._clock() >= expires:
            self._forget(key)
            return None
        self._values.move_to_end(key)
        return value

    async def put(self, key: str, value: bytes) -> None:
        """Remember a value under a key."""
        self._forget(key)
        self._values[key] = (self._clock() + self._seconds, value)
        self._held += len(value)
        while len(self._values) > self._entries or self._held > self._size:
            self._forget(next(iter(self._values)))

    async def close(self) -> None:
        """Forget everything."""
        self._values.clear()
        self._held = 0

    def __len__(self) -> int:
        return len(self._values)

    def _forget(self, key: str) -> None:
        _, value = self._values.pop(key, (0.0, b""))
        self._held -= len(value)
