"""Answers remembered for a while."""

import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Protocol


class Cache(Protocol):
    """Remembers bytes under a key; may forget them at any time. Safe to use from several threads at once.

    A key carries the release's version, so that no answer outlives its release.
    """

    def get(self, key: str) -> bytes | None:
        """What was put under a key, or None if it is forgotten."""
        ...

    def put(self, key: str, value: bytes) -> None:
        """Remember a value under a key."""
        ...


class MemoryCache:
    """A `Cache` in this process that forgets what is old, and what was used longest ago when it is full.

    Args:
        entries: how many values it holds at most; 0 remembers nothing.
        seconds: how long it remembers one.
        clock: gives the time in seconds; for tests.
    """

    def __init__(self, entries: int, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._entries = entries
        self._seconds = seconds
        self._clock = clock
        self._lock = Lock()
        self._values: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    def get(self, key: str) -> bytes | None:
        """What was put under a key, or None if it is forgotten."""
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            expires, value = found
            if self._clock() >= expires:
                del self._values[key]
                return None
            self._values.move_to_end(key)
            return value

    def put(self, key: str, value: bytes) -> None:
        """Remember a value under a key."""
        with self._lock:
            self._values[key] = (self._clock() + self._seconds, value)
            self._values.move_to_end(key)
            while len(self._values) > self._entries:
                self._values.popitem(last=False)

    def __len__(self) -> int:
        return len(self._values)
