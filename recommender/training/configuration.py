"""Hyperparameters of training, and the options that are not hyperparameters."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from recommender.configuration import Configuration
from recommender.errors import DataError
from recommender.features.configuration import InputConfig
from recommender.models.configuration import RankingHeadConfig, TwoTowerConfig


class RetrievalTrainingConfig(Configuration):
    """How the two towers are fitted."""

    epochs: int = Field(default=100, ge=1)
    """Most epochs; early stopping usually ends training sooner."""
    batch_size: int = Field(default=128, ge=1)
    """Users a step with the full softmax, ratings a step with the in-batch softmax."""
    learning_rate: float = Field(default=0.01, gt=0)
    """Of Adam."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay (AdamW); 0 is plain Adam."""
    clip_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this global norm."""
    patience: int = Field(default=10, ge=1)
    """Epochs without a better validation NDCG@10 before training stops."""
    refit: bool = True
    """Fit once more on training and validation part together, for as many epochs as were best."""


class RankingTrainingConfig(Configuration):
    """How the ranking head is fitted."""

    epochs: int = Field(default=20, ge=1)
    """Most epochs; early stopping on validation RMSE usually ends training sooner."""
    batch_size: int = Field(default=1024, ge=1)
    """Ratings a step."""
    learning_rate: float = Field(default=0.003, gt=0)
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
    input: InputConfig = InputConfig()
    """How ratings get from disk to the model, for retrieval and ranking."""


class TunerConfig(Configuration):
    """How hyperparameters are searched."""

    enabled: bool = False
    """Whether to search at all; otherwise the Trainer gets its configuration as it is."""
    max_trials: int = Field(default=10, ge=1)
    """Configurations that are tried."""
    epochs: int = Field(default=30, ge=1)
    """Most epochs of a trial."""
    space: dict[str, Annotated[tuple[float | int | str | bool, ...], Field(min_length=1)]] = Field(
        default={
            "learning_rate": (0.003, 0.005, 0.01, 0.02),
            "batch_size": (64, 128, 256),
            "model.temperature": (0.15, 0.2, 0.25, 0.3),
            "model.user_tower.history_dropout": (0.0, 0.3, 0.5),
        }
    )
    """Values to choose from, by the dotted name of a field of `trainer`."""


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
