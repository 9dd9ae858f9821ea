"""What was served to whom: one line of JSON for each answer, the seam for feedback later."""

import logging

from pydantic import BaseModel, ConfigDict

from recommender.retrieval.recommend import Strategy

LOGGER = logging.getLogger("marquee.events")
"""Where events go; each message is one JSON object."""


class RecommendationsServed(BaseModel):
    """Somebody was given recommendations."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    event: str = "recommendations_served"
    """What happened."""
    request_id: str
    """The request, as in its `X-Request-ID`."""
    user_id: int
    """Who asked."""
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


def record(event: RecommendationsServed) -> None:
    """Write an event to the log."""
    LOGGER.info(event.model_dump_json())
