"""What happened while one request was answered."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

Stage = Literal["cache", "recall", "rank"]
"""The timed parts of answering: looking for a remembered answer, finding candidates, ordering them."""
Part = Literal["cache", "index", "ranker", "history", "rate_limits"]
"""What an answer, or the service, can do without when it fails."""
Lookup = Literal["hit", "miss", "shared", "unavailable"]
"""How a lookup ended: remembered, computed, computed by another request at that moment, no cache to ask."""


class RequestRecord:
    """Collects what the log and the metrics say about one request.

    A route marks its stages with `with record.stage("recall"):` and calls `record.degrade("index")` when it
    answers without something that failed; `record.degraded` goes into the answer.
    """

    __slots__ = ("degraded", "lookup", "request_id", "seconds")

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.degraded: list[Part] = []
        """What the answer does without, in the order it failed."""
        self.seconds: dict[Stage, float] = {}
        """How long each stage took."""
        self.lookup: Lookup | None = None
        """How looking for a remembered answer ended, if one was looked for."""

    def degrade(self, part: Part) -> None:
        """Note that the answer does without a part that failed."""
        if part not in self.degraded:
            self.degraded.append(part)

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Time what happens inside; the times of one stage add up."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - started
