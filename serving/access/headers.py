"""Headers of every response: the request's id, and what a browser may do with the page."""

import itertools
import os
import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID = "X-Request-ID"
_USABLE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_RAW_REQUEST_ID = REQUEST_ID.lower().encode()
_SECURITY = [
    (
        b"content-security-policy",
        b"default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]


class ResponseHeaders:
    """Middleware that names each request and sets the security headers a route has not set itself.

    A caller's own `X-Request-ID` is kept if it is short and plain; the id is at `request.state.request_id`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        # Nobody else's ids begin like these, and no system call is made for each.
        self._ids = map(f"{os.urandom(8).hex()}%016x".__mod__, itertools.count())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = b""
        for name, value in scope["headers"]:
            if name == _RAW_REQUEST_ID and _USABLE_ID.fullmatch(value):
                request_id = value
        request_id = request_id or next(self._ids).encode()
        scope.setdefault("state", {})["request_id"] = request_id.decode()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                present = {name for name, _ in headers}
                headers += [header for header in _SECURITY if header[0] not in present]
                if _RAW_REQUEST_ID not in present:
                    headers.append((_RAW_REQUEST_ID, request_id))
                message["headers"] = headers
            await send(message)

        await self._app(scope, receive, send_with_headers)
