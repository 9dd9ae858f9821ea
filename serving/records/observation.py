"""Every request measured, counted and logged."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.records import events
from serving.records.metrics import Metrics
from serving.records.request_record import RequestRecord


class Observation:
    """Middleware that gives each request its `RequestRecord` and tells metrics and log what became of it.

    Args:
        app: what answers.
        metrics: counts.
        log_requests: whether each request that leaves no event of its own gets a line in the log.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, *, log_requests: bool) -> None:
        self._app = app
        self._metrics = metrics
        self._log_requests = log_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500  # unless an answer says otherwise
        state = scope["state"]
        record = RequestRecord(state["request_id"])
        record.become_current()

        async def send_observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_observed)
        finally:
            seconds = time.perf_counter() - started
            # Static files and what is nowhere have no route of their own.
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.count_request(record, scope["method"], route, status, seconds)
            if self._log_requests and not record.told:
                caller = state.get("caller")
                events.record_request(
                    events.RequestHandled(
                        request_id=record.request_id,
                        method=scope["method"],
                        path=scope["path"],
                        status=status,
                        milliseconds=round(1000 * seconds, 3),
                        stages={stage: round(1000 * took, 3) for stage, took in record.seconds.items()},
                        cache=record.lookup,
                        degraded=record.degraded,
                        caller=None if caller is None else caller.name,
                    )
                )
