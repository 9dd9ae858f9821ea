"""Hyperparameters of training, and the options that are not hyperparameters."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from recommender.configuration import Configuration
from recommender.errors import DataError
from recommender.features.configuration import InputConfig
from recommender.models.configuration import TwoTowerConfig
from recommender.models.ranking_head_configuration import RankingHeadConfig
from recommender.models.re_ranker_configuration import ReRankerConfig


class RetrievalTrainingConfig(Configuration):
    """How the two towers are fitted."""

    epochs: int = Field(default=100, ge=1)
    """Most epochs; early stopping usually ends training sooner."""
    batch_size: int = Field(default=128, ge=1)
    """Users a step, or ratings a step, whichever the loss reads; on each device where there are several."""
    learning_rate: float = Field(default=0.01, gt=0)
    """Of Adam; the highest of the schedule."""
    schedule: Literal["constant", "cosine"] = "constant"
    """How the learning rate goes on after the warm-up: it stays, or falls to 0 along a half cosine by the end
    of the last of `epochs`."""
    warmup_epochs: float = Field(default=0.0, ge=0)
    """Epochs in which the learning rate rises from 0 in equal steps."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay (AdamW); 0 is plain Adam."""
    clip_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this global norm."""
    weight_average: float = Field(default=0.0, ge=0, lt=1)
    """Momentum of the running average of weights that is validated and kept in place of the weights
    themselves, such as 0.99 to average over about 100 steps; 0 keeps the weights."""
    patience: int = Field(default=10, ge=1)
    """Epochs without a better validation NDCG@10 before training stops."""
    validation_users: int = Field(default=20_000, ge=1)
    """Users whose validation ratings decide on stopping, drawn by the seed; all where there are fewer."""
    refit: bool = True
    """Fit once more on training and validation part together, for as many epochs as were best."""


class RankingTrainingConfig(Configuration):
    """How the ranking head is fitted."""

    epochs: int = Field(default=30, ge=1)
    """Most epochs; early stopping on validation RMSE usually ends training sooner."""
    batch_size: int = Field(default=4096, ge=1)
    """Ratings a step, on average: a step takes users and movies whole."""
    learning_rate: float = Field(default=0.002, gt=0)
    """Of Adam."""
    patience: int = Field(default=2, ge=1)
    """Epochs without a lower validation RMSE before training stops."""


class TrainerConfig(RetrievalTrainingConfig):
    """Hyperparameters of retrieval and ranking."""

    model: TwoTowerConfig = TwoTowerConfig()
    """The two towers."""
    ranking_head: RankingHeadConfig = RankingHeadConfig()
    """The ranking head."""
    ranking: RankingTrainingConfig = RankingTrainingConfig()
    """How the ranking head is fitted."""
    re_ranker: ReRankerConfig | None = None
    """How the movies that retrieval recalls are ordered anew; not at all without it. Learned from the
    validation part."""
    input: InputConfig = InputConfig()
    """How ratings get from disk to the model, for retrieval and ranking."""
    mixed_precision: bool = True
    """The towers compute in bfloat16 where there is a GPU that is fast at it; elsewhere in float32."""
    strategy: Literal["none", "mirrored", "multi_worker"] = "none"
    """The towers train on one device; on all devices of this machine; or on several machines, each with its
    place in the environment variable `TF_CONFIG`."""


class Tracking(Configuration):
    """Where a training run reports to."""

    experiment: str = "marquee"
    """Name of the MLflow experiment."""
    mlflow_uri: str | None = None
    """MLflow's tracking address, such as `sqlite:///mlflow.db`; nothing is tracked without one."""
    mlflow_artifacts: str | None = None
    """Where MLflow keeps the files of a new experiment; its tracking server decides if not given."""
    tensorboard: str | None = None
    """Folder for TensorBoard's logs; none are written without one."""
    profile: bool = False
    """Whether TensorBoard also gets a profile of some steps of the first epoch."""


def write_hyperparameters(config: TrainerConfig, folder: Path) -> None:
    """Write `hyperparameters.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hyperparameters.json").write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_hyperparameters(folder: Path) -> TrainerConfig:
    """Read `hyperparameters.json`.

    Raises:
        DataError: the file is missing or holds something else.
    """
    file = folder / "hyperparameters.json"
    try:
        return TrainerConfig.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        raise DataError(f"{file} holds no hyperparameters ({error}): run the Tuner step again.") from error
