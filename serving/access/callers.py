"""Who comes in, and how often."""

import math

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.access.rate_limits import Allowance, RateLimits
from serving.access.security import Access, require
from serving.problems import problem_response

_GUARDED = ("/api/", "/metrics")


class Callers:
    """Middleware that finds out who asks, and refuses whoever may not read (401) or asks too often (429).

    The `Caller` is at `request.state.caller`. The page's files and health are for everybody. Headers tell
    what is left, as draft-ietf-httpapi-ratelimit-headers has it.

    Args:
        app: what answers.
        access: knows the keys.
        limits: counts requests.
        per_key: requests a minute for a key; 0 for no limit.
        per_address: requests a minute for an address that gives no key; 0 for no limit.
    """

    def __init__(
        self, app: ASGIApp, access: Access, limits: RateLimits, *, per_key: int, per_address: int
    ) -> None:
        self._app = app
        self._access = access
        self._limits = limits
        self._per_key = per_key
        self._per_address = per_address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = scope.get("client")
        caller = self._access.caller(scope["headers"], client[0] if client else "unknown")
        scope["state"]["caller"] = caller
        if not scope["path"].startswith(_GUARDED):
            await self._app(scope, receive, send)
            return
        limit = self._per_key if caller.key == "known" else self._per_address
        if limit:
            allowance = await self._limits.take(caller.name, limit)
            headers = _headers(allowance)
            if not allowance.allowed:
                wait = math.ceil(allowance.retry_in)
                detail = f"More than {limit} requests a minute. Try again in {wait} s."
                headers.append((b"retry-after", b"%d" % wait))
                refusal = problem_response(Request(scope), 429, detail)
                refusal.raw_headers.extend(headers)
                await refusal(scope, receive, send)
                return

            async def send_with_limits(message: Message) -> None:
                if message["type"] == "http.response.start":
                    message["headers"] = [*message.get("headers", ()), *headers]
                await send(message)

        try:
            require("read", caller)
        except HTTPException as error:
            refusal = problem_response(Request(scope), error.status_code, error.detail, headers=error.headers)
            await refusal(scope, receive, send_with_limits if limit else send)
        else:
            await self._app(scope, receive, send_with_limits if limit else send)


def _headers(allowance: Allowance) -> list[tuple[bytes, bytes]]:
    return [
        (b"ratelimit-policy", b'"minute";q=%d;w=60' % allowance.limit),
        (b"ratelimit", b'"minute";r=%d;t=%d' % (allowance.remaining, math.ceil(allowance.full_in))),
    ]
