"""The head of a request, its target and headers: bounded, in time, and refused with a problem document."""

import asyncio
import os
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.problems import MEDIA_TYPE, Problem

LONGEST_HEAD: Final = 65_536
"""Bytes that target and headers of a request may have."""
SLOWEST_HEAD_S: Final = 10.0
"""How long the head of a request may take, from the connection or its own first byte on, in seconds."""


class HeadLimits(HttpToolsProtocol):
    """Uvicorn's HTTP, which by itself keeps whatever somebody sends as a header, and waits for it forever.

    Here nothing is known of a request yet that middleware could look at.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._in_head = True
        self._head = 0
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, and wait for the rest of a head, unless it has become too long."""
        if self._in_head:
            self._head += len(data)
        super().data_received(data)
        if self._in_head:
            if self._head > LONGEST_HEAD:
                self._refuse_long()
            self._wait()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head of a request is there."""
        self._stop_waiting()
        self._in_head = False
        self._head = 0
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > LONGEST_HEAD:
            self._refuse_long()
            raise ValueError("too long")  # which ends the parsing
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        self._refuse(HTTPStatus.BAD_REQUEST, "This is no request of HTTP/1.1 that can be understood.")

    def _give_up(self) -> None:
        self._refuse(
            HTTPStatus.REQUEST_TIMEOUT, f"No whole head of a request came within {SLOWEST_HEAD_S:g} s."
        )

    def _wait(self) -> None:
        if self._late is None and not self.transport.is_closing():
            self._late = self.loop.call_later(SLOWEST_HEAD_S, self._give_up)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _refuse_long(self) -> None:
        self._refuse(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            f"Target and headers of a request have {LONGEST_HEAD} bytes at most.",
        )

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Answer with a problem document, and close the connection."""
        if self.transport.is_closing():
            return
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            if cycle.response_started or not cycle.more_body:
                self.transport.close()  # a refusal would be taken for the answer that is still to come
                return
        problem = Problem(
            title=status.phrase, status=status, detail=detail, instance="", request_id=os.urandom(16).hex()
        )
        body = problem.model_dump_json().encode()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            f"content-type: {MEDIA_TYPE}\r\n"
            f"content-length: {len(body)}\r\n"
            f"x-request-id: {problem.request_id}\r\n"
            "x-content-type-options: nosniff\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
