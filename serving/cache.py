"""What remembers answers for a while, wherever it keeps them."""

import hashlib
import json
from typing import Any, Protocol

from recommender.errors import MarqueeError

# Goes up when the shape of an answer changes: what an older service remembered is then not found.
_FORMAT = 1


class CacheUnavailableError(MarqueeError):
    """A cache that cannot be reached; what it would have answered can be computed."""


class Cache(Protocol):
    """Remembers bytes under a key; may forget them at any time. Used from one event loop."""

    async def get(self, key: str) -> bytes | None:
        """What was put under a key, or None if it is forgotten.

        Raises:
            CacheUnavailableError: the cache did not answer in time.
        """
        ...

    async def put(self, key: str, value: bytes) -> None:
        """Remember a value under a key.

        Raises:
            CacheUnavailableError: the cache did not answer in time.
        """
        ...

    async def close(self) -> None:
        """Let go of what the cache holds open."""
        ...


def cache_key(kind: str, release: str, history: str | int, **parameters: Any) -> str:
    """The key of an answer: whatever it depends on is in it, so that no answer outlives what it was made of.

    Args:
        kind: what is answered, such as `recommendations`.
        release: version of the release that answers.
        history: version of what the user has rated.
        parameters: everything else that was asked for, as JSON can hold it.

    Example:
        >>> cache_key("recommendations", "20260314T092653Z-5f0c6f1f", 3, user_id=42, limit=10)
        'marquee:1:recommendations:20260314T092653Z-5f0c6f1f:3:75f3e5b8fbb59e5e8bb16fa0ae0f2f1d'
    """
    asked = json.dumps(parameters, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(asked.encode()).hexdigest()[:32]
    return f"marquee:{_FORMAT}:{kind}:{release}:{history}:{digest}"
