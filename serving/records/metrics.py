"""What Prometheus is told of a service."""

import os
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from serving.records.request_record import Part, RequestRecord

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that names the folder in which several workers count together."""
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counts of one service, or of all its workers where `PROMETHEUS_MULTIPROC_DIR` is set."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Histogram(
            "marquee_request_seconds",
            "How long requests took, by route.",
            ["method", "route", "status"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._stages = Histogram(
            "marquee_stage_seconds",
            "How long the stages of answering took: cache, recall, rank, and in total.",
            ["stage"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._lookups = Counter(
            "marquee_cache_lookups",
            "How looking for remembered answers ended.",
            ["result"],
            registry=self._registry,
        )
        self._degradations = Counter(
            "marquee_degradations",
            "How often the service did without a part that failed.",
            ["part"],
            registry=self._registry,
        )
        self._release = Gauge(
            "marquee_release_info",
            "1 for the release being served.",
            ["release"],
            registry=self._registry,
            multiprocess_mode="mostrecent",
        )
        # Finding the counter of some labels takes longer than counting.
        self._request_seconds = cache(self._requests.labels)
        self._stage_seconds = cache(self._stages.labels)
        self._lookup = cache(self._lookups.labels)

    def serve_release(self, version: str, before: str | None = None) -> None:
        """Say which release is served now, and which was before."""
        if before is not None:
            self._release.labels(before).set(0)
        self._release.labels(version).set(1)

    def count_request(
        self, record: RequestRecord, method: str, route: str, status: int, seconds: float
    ) -> None:
        """Count one request.

        Args:
            record: what happened meanwhile.
            method: the HTTP method.
            route: the template of its path, never the path itself: there are as many paths as users.
            status: the HTTP status.
            seconds: how long it took.
        """
        self._request_seconds(method, route, status).observe(seconds)
        for stage, took in record.seconds.items():
            self._stage_seconds(stage).observe(took)
        if record.seconds:
            self._stage_seconds("total").observe(seconds)
        if record.lookup is not None:
            self._lookup(record.lookup).inc()
        for part in record.degraded:
            self.count_degradation(part)

    def count_degradation(self, part: Part) -> None:
        """Count that the service did without a part."""
        self._degradations.labels(part).inc()

    def exposition(self) -> bytes:
        """Everything counted so far, in Prometheus's text format."""
        registry = self._registry
        if SHARED_FOLDER in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
