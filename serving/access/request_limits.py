"""What one request may bring, and how long it may take."""

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.problems import problem_response


class RequestLimits:
    """Middleware that bounds what one request may bring (413) and how long it may take (503).

    Args:
        app: what answers.
        body: bytes a body may have, whether its length is declared or it comes in chunks.
        seconds: how long a request may take, from its first byte to the last of its answer.
    """

    def __init__(self, app: ASGIApp, *, body: int, seconds: float) -> None:
        self._app = app
        self._body = body
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length, chunked = _body(scope)
        too_large = f"The body is larger than {self._body} bytes."
        if length > self._body:
            await problem_response(Request(scope), 413, too_large)(scope, receive, send)
            return
        received = 0
        started = False

        async def receive_within() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._body:
                raise HTTPException(413, too_large)
            return message

        async def send_noticed(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            async with asyncio.timeout(self._seconds) as limit:
                await self._app(scope, receive_within if chunked else receive, send_noticed)
        except TimeoutError:
            if started or not limit.expired():
                raise
            late = problem_response(
                Request(scope),
                503,
                f"This took longer than {self._seconds:g} s and was given up. Try again later.",
                headers={"Retry-After": "1"},
            )
            await late(scope, receive, send)


def _body(scope: Scope) -> tuple[int, bool]:
    """The declared length of a body, and whether it comes in chunks of any length."""
    length, chunked = 0, False
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            length = int(value)
        elif name == b"transfer-encoding":
            chunked = True
    return length, chunked
