"""What is measured, and what a model must reach to be released."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, model_validator

from recommender.configuration import Configuration
from recommender.evaluation.baselines.configuration import BaselineName, BaselinesConfig
from recommender.evaluation.metrics import GENRE_METRICS, METRICS


class EvaluatorConfig(Configuration):
    """What is measured, and what a model must reach to be released."""

    ks: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(5, 10, 20), min_length=1)
    """Cut-offs of the metrics."""
    baselines: tuple[BaselineName, ...] = ("most_popular", "ease")
    """What the model is compared with, on the same users. One that would take more memory than it may is left
    out, and the report says so."""
    baseline_values: BaselinesConfig = BaselinesConfig()
    """The values that the baselines' hyperparameters are chosen from, and the memory they may take."""
    minimum: dict[str, float] = Field(default={})
    """Metrics that must reach a value, such as `ndcg@10: 0.4`."""
    minimum_over: dict[BaselineName, dict[str, float]] = Field(default={})
    """Metrics that must reach a multiple of a baseline's, such as `ease: {ndcg@10: 1.02}`."""
    not_worse_than_live: bool = True
    """Whether NDCG must not be lower than that of the live release on the same test part, by more than chance
    explains."""

    @property
    def k(self) -> int:
        """The cut-off of slices, of plots and of what is compared with the live release: 10, or the first."""
        return 10 if 10 in self.ks else self.ks[0]

    @model_validator(mode="after")
    def _asks_for_what_is_measured(self) -> Self:
        asked: dict[str, Mapping[str, float]] = {
            "minimum": self.minimum,
            **{f"minimum_over.{name}": ratios for name, ratios in self.minimum_over.items()},
        }
        measured = [f"{metric}@{k}" for k in self.ks for metric in (*METRICS, *GENRE_METRICS)]
        for section, names in asked.items():
            unknown = [name for name in names if name not in measured]
            if unknown:
                raise ValueError(
                    f"{section} asks for {', '.join(unknown)}, which is not measured; "
                    f"measured are {', '.join(measured)}"
                )
        absent = [name for name in self.minimum_over if name not in self.baselines]
        if absent:
            raise ValueError(
                f"more is asked for than {', '.join(absent)} reaches, which baselines does not name: "
                "add it there"
            )
        return self
