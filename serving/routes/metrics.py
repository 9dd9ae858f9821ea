"""What monitoring reads."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from serving.dependencies import ServiceDependency
from serving.problems import documented

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    summary="How does the service fare?",
    response_class=Response,
    responses={
        200: {
            "description": "Counts and times since the start, in Prometheus's text format.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
        **documented(401, 500),
    },
)
def metrics(service: ServiceDependency) -> Response:
    """Latency by route and by stage, lookups in the cache, degradations by part, and the release."""
    return Response(service.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)
