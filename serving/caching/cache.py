"""What remembers answers for a while, wherever it keeps them."""

import hashlib
import json
from typing import Any, Protocol

from recommender.errors import MarqueeError

# Goes up when the shape of an answer changes: what an older service remembered is then not found.
_FORMAT = 2


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
        parameters: everything that was asked for, as JSON can hold it.

    Example:
        >>> question = Question("recommendations", user_id=42, limit=10)
        >>> question.key("20260314T092653Z-5f0c6f1f", history=3)
        'marquee:2:recommendations:20260314T092653Z-5f0c6f1f:3:4bfa08940a85a3ad89c617a5472a5e98'
    """

    def __init__(self, kind: str, **parameters: Any) -> None:
        self._kind = kind
        asked = json.dumps(parameters, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        self._digest = hashlib.sha256(asked.encode()).hexdigest()[:32]

    def key(self, release: str, history: str | int) -> str:
        """The key of its answer: all that the answer depends on is in it, so none outlives what it is of.

        Args:
            release: version of the release that answers.
            history: version of what the user has rated.
        """
        return f"marquee:{_FORMAT}:{self._kind}:{release}:{history}:{self._digest}"
