"""Who comes in, and how often."""

import math

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.problems import problem_response
from serving.rate_limits import Allowance, RateLimits
from serving.security import Access

_LIMITED = "/api/"


class Callers:
    """Middleware that finds out who asks, and refuses with 429 whoever asks too often.

    The `Caller` is at `request.state.caller`. The page's files, health and metrics are not counted. Headers tell
    what is left, as draft-ietf-httpapi-ratelimit-headers has it.

    Args:
        app: what answers.
        access: knows the keys.
        limits: counts; None counts nothing.
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
        caller = self._access.caller(Headers(scope=scope), client[0] if client else "unknown")
        scope["state"]["caller"] = caller
        limit = self._per_key if caller.key == "known" else self._per_address
        if limit == 0 or not scope["path"].startswith(_LIMITED):
            await self._app(scope, receive, send)
            return
        allowance = await self._limits.take(caller.name, limit)
        headers = _headers(allowance)

        async def send_with_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        if allowance.allowed:
            await self._app(scope, receive, send_with_limits)
            return
        wait = math.ceil(allowance.retry_in)
        refusal = problem_response(
            Request(scope),
            429,
            f"More than {limit} requests a minute. Try again in {wait} s.",
            headers={"Retry-After": str(wait), **headers},
        )
        await refusal(scope, receive, send)


def _headers(allowance: Allowance) -> dict[str, str]:
    return {
        "RateLimit-Policy": f'"minute";q={allowance.limit};w=60',
        "RateLimit": f'"minute";r={allowance.remaining};t={math.ceil(allowance.full_in)}',
    }
