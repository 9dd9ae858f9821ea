"""Where answers are computed: in turn, or in threads."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool

_Result = TypeVar("_Result")


class Computing:
    """Computes answers while others wait for theirs.

    What only computes is computed in turn, by the thread that answers. Python lets one thread at a time
    compute anyway, and threads that hand over to each other take twice the processor time for the same
    answers. What may wait for a server is given a thread, so that nobody else waits for it, too.

    Args:
        waits: whether computing an answer may wait for a server.
    """

    def __init__(self, *, waits: bool) -> None:
        self._waits = waits
        self._turn = asyncio.Lock()

    async def at_once(self, look_up: Callable[..., _Result], *arguments: Any) -> _Result:
        """What a function returns that takes microseconds where it does not wait for a server."""
        if self._waits:
            return await run_in_threadpool(look_up, *arguments)
        return look_up(*arguments)

    async def __call__(self, compute: Callable[..., _Result], *arguments: Any) -> _Result:
        """What a function returns."""
        if self._waits:
            return await run_in_threadpool(compute, *arguments)
        async with self._turn:
            # Between two of them whatever takes less goes on: connections, answers from the cache.
            await asyncio.sleep(0)
            return compute(*arguments)
