"""What happened while one request was answered."""

import time
from contextvars import ContextVar
from types import TracebackType
from typing import Literal

Stage = Literal["cache", "recall", "rank"]
"""The timed parts of answering: looking for a remembered answer, finding candidates, ordering them."""
Part = Literal["cache", "index", "ratings", "rate_limits"]
"""What an answer, or the service, can do without when it fails."""
Lookup = Literal["hit", "miss", "shared", "unavailable"]
"""How a lookup ended: remembered, computed, computed by another request at that moment, no cache to ask."""


class RequestRecord:
    """Collects what the log and the metrics say about one request.

    A route gets it by `RequestRecord.current()`, also in the thread that computes an answer. It marks its
    stages with `with record.stage("recall"):` and calls `record.degrade("index")` when it answers without
    something that failed; `record.degraded` goes into the answer.
    """

    __slots__ = ("degraded", "lookup", "request_id", "seconds", "told")

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        """The request, as in its `X-Request-ID`."""
        self.degraded: list[Part] = []
        """What the answer does without, in the order it failed."""
        self.seconds: dict[Stage, float] = {}
        """How long each stage took."""
        self.lookup: Lookup | None = None
        """How looking for a remembered answer ended, if one was looked for."""
        self.told = False
        """Whether an event tells of this request already."""

    def degrade(self, part: Part) -> None:
        """Note that the answer does without a part that failed."""
        if part not in self.degraded:
            self.degraded.append(part)

    def stage(self, stage: Stage) -> "_Timer":
        """Time what happens inside; the times of one stage add up."""
        return _Timer(self.seconds, stage)

    @staticmethod
    def current() -> "RequestRecord":
        """The record of the request being answered."""
        return _CURRENT.get()

    @staticmethod
    def current_id() -> str | None:
        """The id of the request being answered, if one is."""
        record = _CURRENT.get(None)
        return None if record is None else record.request_id

    def become_current(self) -> None:
        """Make this the record of the request being answered."""
        _CURRENT.set(self)


_CURRENT: ContextVar[RequestRecord] = ContextVar("request_record")


class _Timer:
    __slots__ = ("_seconds", "_stage", "_started")

    def __init__(self, seconds: dict[Stage, float], stage: Stage) -> None:
        self._seconds = seconds
        self._stage = stage

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        took = time.perf_counter() - self._started
        self._seconds[self._stage] = self._seconds.get(self._stage, 0.0) + took
