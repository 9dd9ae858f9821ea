"""What a model follows from, besides the ratings."""

from collections.abc import Mapping
from typing import Any, Final, Self

from pydantic import Field

from recommender.configuration import Configuration
from recommender.data.engine import EngineConfig
from recommender.evaluation.configuration import EvaluatorConfig
from recommender.features.transform import TransformConfig
from recommender.models.configuration import (
    MovieTowerConfig,
    RecentPopularityConfig,
    TwoTowerConfig,
    UserTowerConfig,
)
from recommender.models.low_rank_ease import LowRankEaseConfig
from recommender.models.re_ranker_configuration import ReRankerConfig
from recommender.retrieval.configuration import IndexerConfig
from recommender.training.configuration import TrainerConfig

_TRAINER: Final = TrainerConfig(
    epochs=20,
    schedule="cosine",
    clip_norm=10,
    model=TwoTowerConfig(
        loss="reconstruction",
        low_rank_ease=LowRankEaseConfig(),
        recent_popularity=RecentPopularityConfig(),
        user_tower=UserTowerConfig(share_movie_embedding=True, half_lives=(3, 5, 10, 20, 50)),
        movie_tower=MovieTowerConfig(new_movies=10),
    ),
    re_ranker=ReRankerConfig(),
)


class ModelConfig(Configuration):
    """What a model follows from, besides the ratings: the pipeline's sections of the same names."""

    seed: int = Field(default=42, ge=0, lt=2**32)
    """Of every random choice: split, initial weights, dropout, order, bootstrap."""
    engine: EngineConfig = EngineConfig()
    """What computes tables."""
    transform: TransformConfig = TransformConfig()
    """Split, filters and features."""
    trainer: TrainerConfig = _TRAINER
    """Hyperparameters; without any, those of `ml-100k.yaml`."""
    evaluator: EvaluatorConfig = EvaluatorConfig()
    """What is measured."""
    indexer: IndexerConfig = IndexerConfig()
    """The vector index."""

    @classmethod
    def changed(cls, changes: Mapping[str, Any]) -> Self:
        """The defaults but for some fields, in sections as in the pipeline's YAML files.

        >>> ModelConfig.changed({"trainer": {"epochs": 3}}).trainer.epochs
        3

        Raises:
            pydantic.ValidationError: a key or a value that does not fit, with its path.
        """
        return cls.from_mapping(_merged(cls().model_dump(mode="json"), changes))


def _merged(tree: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(tree)
    for key, value in changes.items():
        below = merged.get(key)
        merged[key] = (
            _merged(below, value) if isinstance(below, dict) and isinstance(value, Mapping) else value
        )
    return merged
