"""What somebody wants of recommendations."""

from pydantic import ConfigDict, Field

from serving.routes.filter_wishes import FilterWishes


class RecommendationWishes(FilterWishes):
    """How many movies, what they must be like, and what is to be said of them."""

    limit: int = Field(default=10, ge=1, le=100, examples=[10])
    """How many to return at most."""
    diversity: float = Field(default=0.0, ge=0, le=1, allow_inf_nan=False, examples=[0.3])
    """How unlike each other the movies should be: 0 for the best ones, whatever they are, to 1."""
    explain: bool = Field(default=False, examples=[True])
    """Say why for each movie: `reason` in a sentence, `evidence` in numbers."""
    use_cache: bool = Field(default=True, examples=[True])
    """Whether an answer from before will do, as long as neither ratings nor release changed."""


class RecommendationRequest(RecommendationWishes):
    """The same wishes in a body."""

    model_config = ConfigDict(strict=True, extra="forbid")
