"""What is measured, and what a model must reach to be released."""

from pydantic import Field

from recommender.configuration import Configuration


class EvaluatorConfig(Configuration):
    """What is measured, and what a model must reach to be released."""

    ks: tuple[int, ...] = Field(default=(5, 10, 20), min_length=1)
    """Cut-offs of the metrics."""
    minimum: dict[str, float] = Field(default={})
    """Metrics of retrieval that must reach a value, such as `ndcg@10: 0.4`."""
    minimum_over_most_popular: dict[str, float] = Field(default={"ndcg@10": 1.0})
    """Metrics of retrieval that must reach a multiple of the most-popular baseline's."""
