"""What a training run says of itself, beside its model."""

from pathlib import Path
from typing import Self

from pydantic import ValidationError

from recommender.configuration import Configuration
from recommender.errors import DataError
from recommender.training.configuration import TrainerConfig


class TrainingReport(Configuration):
    """`training.json`."""

    config: TrainerConfig
    """The hyperparameters used."""
    seed: int
    """The seed used."""
    epochs: dict[str, int]
    """Epochs after which `retrieval` and `ranking` were best on the validation part."""
    validation: dict[str, float]
    """Validation metrics of these epochs."""
    seconds: dict[str, float]
    """How long `retrieval` and `ranking` took to fit."""
    curves: dict[str, dict[str, list[float]]]
    """Loss and validation metrics of each epoch, by task and name."""
    mlflow_run_id: str | None
    """MLflow's id of the run, where it was tracked."""

    def write(self, folder: Path) -> Path:
        """Write `training.json` and return its path."""
        file = folder / "training.json"
        file.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
        return file

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read `training.json`.

        Raises:
            DataError: the file is missing or holds something else.
        """
        file = folder / "training.json"
        try:
            return cls.model_validate_json(file.read_bytes())
        except (OSError, ValidationError) as error:
            raise DataError(f"{file} is no training report ({error}): run the Trainer step again.") from error
