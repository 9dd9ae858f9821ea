"""What is measured, and what a model must reach to be released."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from recommender.configuration import Configuration
from recommender.evaluation.metrics import METRICS


class EvaluatorConfig(Configuration):
    """What is measured, and what a model must reach to be released."""

    ks: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(5, 10, 20), min_length=1)
    """Cut-offs of the metrics."""
    minimum: dict[str, float] = Field(default={})
    """Metrics of retrieval that must reach a value, such as `ndcg@10: 0.4`."""
    minimum_over_most_popular: dict[str, float] = Field(default={})
    """Metrics of retrieval that must reach a multiple of the most-popular baseline's, such as
    `ndcg@10: 1.6`."""

    @model_validator(mode="after")
    def _asks_for_what_is_measured(self) -> Self:
        measured = [f"{metric}@{k}" for k in self.ks for metric in METRICS]
        for section in ("minimum", "minimum_over_most_popular"):
            unknown = [name for name in getattr(self, section) if name not in measured]
            if unknown:
                raise ValueError(
                    f"{section} asks for {', '.join(unknown)}, which is not measured; "
                    f"measured are {', '.join(measured)}"
                )
        return self
