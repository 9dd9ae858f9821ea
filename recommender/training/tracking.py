"""Reporting a training run to MLflow and TensorBoard."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorflow as tf

from recommender.data.splits import SplitManifest
from recommender.features.transformed_examples import TransformedExamples
from recommender.training.configuration import Tracking, TrainerConfig
from recommender.training.report import TrainingReport

logger = logging.getLogger(__name__)


class TrackedRun:
    """A run that is being reported; does nothing for the places that are not configured.

    Args:
        run_id: MLflow's id of the run, or nothing where MLflow is not configured.
        tensorboard: Folder of this run's TensorBoard logs, or nothing.
    """

    def __init__(self, run_id: str | None, tensorboard: Path | None) -> None:
        self.run_id = run_id
        self._tensorboard = tensorboard

    def callbacks(self) -> list[tf.keras.callbacks.Callback]:
        """Keras callbacks that report each epoch."""
        if self._tensorboard is None:
            return []
        return [tf.keras.callbacks.TensorBoard(str(self._tensorboard), histogram_freq=0, write_graph=False)]

    def finish(self, report: TrainingReport, files: list[Path]) -> None:
        """Report curves, the best validation metrics and files to MLflow."""
        if self.run_id is None:
            return
        import mlflow

        client = mlflow.MlflowClient()
        entities = mlflow.entities
        points = [
            entities.Metric(f"{task}/{name}".replace("@", "_at_"), value, 0, step)
            for task, logs in report.curves.items()
            for name, values in logs.items()
            for step, value in enumerate(values, start=1)
        ]
        best = [
            entities.Metric(f"best/{name}".replace("@", "_at_"), value, 0, 0)
            for name, value in report.validation.items()
        ]
        for start in range(0, len(points), 1000):  # MLflow takes no more at once
            client.log_batch(self.run_id, metrics=points[start : start + 1000])
        client.log_batch(self.run_id, metrics=best)
        for file in files:
            client.log_artifact(self.run_id, str(file))


@contextmanager
def tracked(
    tracking: Tracking, config: TrainerConfig, seed: int, examples: TransformedExamples
) -> Iterator[TrackedRun]:
    """Report what happens inside to MLflow and TensorBoard, as far as they are configured.

    An exception inside marks the run as failed.

    Args:
        tracking: Where to.
        config: Reported as parameters, dotted names.
        seed: Reported as a parameter.
        examples: Its split manifest is kept with the run.
    """
    if tracking.mlflow_uri is None:
        yield TrackedRun(None, Path(tracking.tensorboard) if tracking.tensorboard else None)
        return
    # MLflow would report its usage to its makers; whoever wants that sets the variable to false.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow

    if tracking.mlflow_artifacts is not None:
        # Without a server MLflow has no public setting for this, and would make `mlruns` where it is run.
        os.environ.setdefault("_MLFLOW_SERVER_ARTIFACT_ROOT", tracking.mlflow_artifacts)
    mlflow.set_tracking_uri(tracking.mlflow_uri)
    mlflow.set_experiment(tracking.experiment)
    with mlflow.start_run() as run:
        mlflow.log_params({"seed": seed, **_flat(config.model_dump(mode="json"))})
        manifest = examples.folder / SplitManifest.file_name
        if manifest.is_file():
            mlflow.log_artifact(str(manifest))
        folder = Path(tracking.tensorboard) / run.info.run_id if tracking.tensorboard else None
        yield TrackedRun(run.info.run_id, folder)


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
