"""Requests over connections that stay open, each connection asking again as soon as it has its answer."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

import numpy as np
import uvloop

_LENGTH: Final = b"\r\ncontent-length: "


@dataclass(frozen=True)
class Load:
    """What a load came to.

    Attributes:
        seconds: How long it took.
        milliseconds: How long each request took.
        statuses: How many answers had each status.
    """

    seconds: float
    milliseconds: list[float]
    statuses: dict[int, int]

    def figures(self) -> dict[str, float]:
        """Requests a second and percentiles.

        Raises:
            SystemExit: an answer was no 200.
        """
        if set(self.statuses) != {200}:
            raise SystemExit(f"not every request was answered: {self.statuses}")
        percentiles = {f"p{p}_ms": float(np.percentile(self.milliseconds, p)) for p in (50, 95, 99)}
        return {"rps": len(self.milliseconds) / self.seconds, **percentiles}


def get(path: str) -> bytes:
    """The bytes of a request."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n".encode()


def load(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Load:
    """Ask a server of this machine for some time.

    Not a library's client: those that are written in Python take longer to ask than the server to answer,
    and it is the server's time that is wanted.

    Args:
        port: Where it listens at 127.0.0.1.
        requests: What is asked, one after the other and then from the beginning.
        connections: How many at the same time.
        seconds: How long; requests under way are waited for.
    """
    return uvloop.run(_load(port, requests, connections, seconds))


async def _load(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Load:
    loop = asyncio.get_running_loop()
    following = itertools.cycle(requests)
    began = time.perf_counter()
    askers = []
    for _ in range(connections):
        _, asker = await loop.create_connection(lambda: _Asker(following, began + seconds), "127.0.0.1", port)
        askers.append(asker)
    await asyncio.gather(*(asker.done for asker in askers))
    took = time.perf_counter() - began
    milliseconds = [value for asker in askers for value in asker.milliseconds]
    statuses = [value for asker in askers for value in asker.statuses]
    return Load(took, milliseconds, {status: statuses.count(status) for status in set(statuses)})


class _Asker(asyncio.Protocol):
    """One connection."""

    def __init__(self, requests: "itertools.cycle[bytes]", until: float) -> None:
        self.done = asyncio.get_running_loop().create_future()
        self.milliseconds: list[float] = []
        self.statuses: list[int] = []
        self._requests, self._until = requests, until
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # That of uvloop is none by inheritance.
        self._transport = cast("asyncio.WriteTransport", transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._unread += data
        head = self._unread.find(b"\r\n\r\n")
        if head < 0:
            return
        at = self._unread.lower().find(_LENGTH, 0, head)
        length = int(self._unread[at + len(_LENGTH) :].split(b"\r\n", 1)[0])
        if len(self._unread) < head + 4 + length:
            return
        self.milliseconds.append(1000 * (time.perf_counter() - self._asked))
        self.statuses.append(int(self._unread[9:12]))
        self._unread = b""
        if time.perf_counter() < self._until:
            self._ask()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def _ask(self) -> None:
        self._asked = time.perf_counter()
        self._transport.write(next(self._requests))
