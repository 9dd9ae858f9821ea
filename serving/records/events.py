"""What was served to whom, and how each request ended: one line of JSON each, the seam for feedback later."""

import logging

from pydantic import BaseModel, ConfigDict

from recommender.retrieval.recommend import Strategy
from serving.records.request_record import Lookup, Part, Stage

LOGGER = logging.getLogger("marquee.events")
"""Where events go; each message is one JSON object."""
REQUESTS = logging.getLogger("marquee.requests")
"""Where a line for each request goes, one JSON object, too."""


class RecommendationsServed(BaseModel):
    """Somebody was given recommendations."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    event: str = "recommendations_served"
    """What happened."""
    request_id: str
    """The request, as in its `X-Request-ID`."""
    user_id: int | None
    """Whom they are for; null for a visitor."""
    release: str
    """The release that answered."""
    strategy: Strategy
    """How the movies were found."""
    movie_ids: list[int]
    """What was recommended, best first."""
    milliseconds: float
    """How long finding them took."""
    cached: bool
    """Whether the answer was remembered from before."""
    degraded: list[Part]
    """What the answer does without."""


class RequestHandled(BaseModel):
    """A request was answered."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    event: str = "request_handled"
    """What happened."""
    request_id: str
    """The request, as in its `X-Request-ID`."""
    method: str
    """The HTTP method."""
    path: str
    """What was asked for, without the query."""
    status: int
    """The HTTP status."""
    milliseconds: float
    """How long it took."""
    stages: dict[Stage, float]
    """Milliseconds of its stages."""
    cache: Lookup | None
    """How looking for a remembered answer ended, if one was looked for."""
    degraded: list[Part]
    """What the answer does without."""
    caller: str | None
    """Who asked: the name of their key, or their address."""


def record(event: RecommendationsServed) -> None:
    """Write an event to the log."""
    LOGGER.info(event.model_dump_json())


def record_request(event: RequestHandled) -> None:
    """Write how a request ended to the log."""
    REQUESTS.info(event.model_dump_json())
