"""Requests like one before, answered without taking them apart again."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

Answering = Callable[[Request], Awaitable[Response]]
"""Answers a request whose parameters are already known."""
_TARGETS = 10_000
_LONGEST_TARGET = 512


@dataclass(frozen=True, slots=True)
class _Known:
    route: BaseRoute
    answering: Answering


class Repeats:
    """Remembers what a request asked for under its path and query, and so how to answer it.

    Finding the route, and reading and checking parameters, takes longer than an answer from the cache. All of
    it follows from path and query alone, so it is done once. The question is remembered, not the answer.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, bytes], _Known] = OrderedDict()

    async def answer(self, request: Request, answering: Answering) -> Response:
        """Answer a request, and, unless it is refused, those like it from now on in the same way.

        Args:
            request: a GET request without a body, whose parameters all stand in path and query.
            answering: holds the parameters; what depends on more, such as a header, it asks the request it is
                given.
        """
        response = await answering(request)
        target = (request.scope["path"], request.scope["query_string"])
        if len(target[0]) + len(target[1]) <= _LONGEST_TARGET:
            self._known[target] = _Known(request.scope["route"], answering)
            if len(self._known) > _TARGETS:
                self._known.popitem(last=False)
        return response

    def find(self, scope: Scope) -> _Known | None:
        """How a request like this was answered, if one was."""
        return self._known.get((scope["path"], scope["query_string"])) if scope["method"] == "GET" else None


class RepeatedRequests:
    """Middleware that answers a request like one before.

    Args:
        app: answers all others.
        repeats: knows which were answered.
    """

    def __init__(self, app: ASGIApp, repeats: Repeats) -> None:
        self._app = app
        self._repeats = repeats

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        known = self._repeats.find(scope) if scope["type"] == "http" else None
        if known is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = known.route
        try:
            response: ASGIApp = await known.answering(Request(scope, receive))
        except (HTTPException, RequestValidationError):
            # Another release may not have what was asked for. The app says so; a middleware cannot.
            response = self._app
        await response(scope, receive, send)
