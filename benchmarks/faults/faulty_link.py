"""What lies between the service and a server, and fails in every way a network can."""

import asyncio
import contextlib
import threading
from typing import Literal

Way = Literal["whole", "slow", "silent", "dripping", "cut", "nonsense", "refused"]
"""How connections go: as they should; each answer late; accepted and never answered; answered byte by byte;
closed in the middle of an answer; answered with something else; not even accepted."""
LATE_S = 0.2
"""How late a slow link answers, and how long a dripping one takes for each byte."""


class FaultyLink:
    """Passes connections on to a server, in the way that it is told at the moment.

    Args:
        host: of the server.
        port: of the server.

    Attributes:
        port: where it listens, on this machine.
    """

    def __init__(self, host: str, port: int) -> None:
        self._server = host, port
        self._way: Way = "whole"
        self._open: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.go("whole")

    def go(self, way: Way) -> None:
        """Go on in another way, on open connections too, or they are cut: none of them hears nonsense."""
        asyncio.run_coroutine_threadsafe(self._go(way), self._loop).result()

    def close(self) -> None:
        """Listen no more."""
        self.go("refused")
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _go(self, way: Way) -> None:
        self._way = way
        if way in ("whole", "refused", "nonsense"):
            for connection in list(self._open):
                connection.cancel()
        if way == "refused" and self._listener is not None:
            self._listener.close()
            self._listener = None
        elif way != "refused" and self._listener is None:
            self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
            self.port = self._listener.sockets[0].getsockname()[1]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = self._loop.create_task(self._serve(reader, writer))
        self._open.add(connection)
        connection.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            if self._way == "nonsense":
                await reader.read(1)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{no answer}\n")
                await writer.drain()
            else:
                await self._pass_on(reader, writer)
        writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(*self._server)

        async def ask() -> None:
            while piece := await reader.read(65_536):
                to_server.write(piece)
                await to_server.drain()

        asking = self._loop.create_task(ask())
        try:
            while piece := await from_server.read(65_536):
                if self._way == "silent":
                    await asyncio.Event().wait()
                if self._way == "slow":
                    await asyncio.sleep(LATE_S)
                while self._way == "dripping" and piece:
                    writer.write(piece[:1])
                    piece = piece[1:]
                    await asyncio.sleep(LATE_S)
                writer.write(piece[: len(piece) // 2] if self._way == "cut" else piece)
                await writer.drain()
                if self._way == "cut":
                    return
        finally:
            asking.cancel()
            to_server.close()
