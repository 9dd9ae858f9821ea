"""What remembers answers for a while, wherever it keeps them."""

import hashlib
from typing import Protocol

from recommender.errors import MarqueeError

# Goes up when the shape of an answer changes: what an older service remembered is then not found.
_FORMAT = 4


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


class Question:
    """What is asked, whatever release answers it and whatever the user has rated meanwhile.

    Args:
        kind: what is answered, such as `recommendations`.
        asked: everything that was asked for, as JSON, always in the same order.

    Example:
        >>> question = Question("recommendations", '{"user_id":42,"limit":10}')
        >>> question.key("20260314T092653Z-5f0c6f1f", history=3)
        'marquee:4:recommendations:20260314T092653Z-5f0c6f1f:3:f34a3ed32f89d4579ab8810129f1344b'
    """

    def __init__(self, kind: str, asked: str) -> None:
        self._kind = kind
        self._digest = hashlib.sha256(asked.encode()).hexdigest()[:32]

    def key(self, release: str, history: str | int) -> str:
        """The key of its answer: all that the answer depends on is in it, so none outlives what it is of.

        Args:
            release: version of the release that answers.
            history: version of what the user has rated.
        """
        return f"marquee:{_FORMAT}:{self._kind}:{release}:{history}:{self._digest}"
