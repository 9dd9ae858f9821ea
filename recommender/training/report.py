"""What a training run says of itself, beside its model."""

from typing import Any

from recommender.document import Document
from recommender.training.configuration import TrainerConfig

EpochLogs = dict[str, list[float]]
"""The value of each metric after each epoch."""


class TrainingReport(Document):
    """`training.json`."""

    file_name = "training.json"
    written_by = "Trainer"

    config: TrainerConfig
    """The hyperparameters used."""
    seed: int
    """The seed used."""
    epochs: dict[str, int]
    """Epochs after which `retrieval`, `ranking` and, where there is one, `re_ranking` were best."""
    validation: dict[str, float]
    """Validation metrics of these epochs."""
    seconds: dict[str, float]
    """How long each of them took to fit."""
    curves: dict[str, EpochLogs]
    """Loss and validation metrics of each epoch, by task and name."""
    mlflow_run_id: str | None
    """MLflow's id of the run, where it was tracked."""


def epoch_logs(logs: dict[str, list[Any]]) -> EpochLogs:
    """Keras's own logs as plain numbers."""
    return {name: [float(value) for value in values] for name, values in logs.items()}
