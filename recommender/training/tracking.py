"""Reporting a training run to MLflow and TensorBoard."""

import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import tensorflow as tf

from recommender.data.columns import Columns
from recommender.data.splits import SplitManifest
from recommender.features.transformed_examples import TransformedExamples
from recommender.training.configuration import Tracking, TrainerConfig
from recommender.training.report import TrainingReport

logger = logging.getLogger(__name__)

SAVED_MODELS = ("user_tower", "movie_tower", "ranker")
"""Folders of a trained model that MLflow gets, each as a model with its signature."""
_RUN_FILE: Final = "mlflow_run_id"


class TrackedRun:
    """A run that is being reported; does nothing for the places that are not configured.

    Args:
        run_id: MLflow's id of the run, or nothing where MLflow is not configured.
        tensorboard: Folder of this run's TensorBoard logs, or nothing.
        profile: Whether TensorBoard gets a profile.
    """

    def __init__(self, run_id: str | None, tensorboard: Path | None, profile: bool = False) -> None:
        self.run_id = run_id
        self._tensorboard, self._profile = tensorboard, profile

    def callbacks(self) -> list[tf.keras.callbacks.Callback]:
        """Keras callbacks that report each epoch: curves, histograms of weights, and the profile."""
        if self._tensorboard is None:
            return []
        return [
            tf.keras.callbacks.TensorBoard(
                str(self._tensorboard),
                histogram_freq=1,
                write_graph=False,
                # The first steps trace and warm up.
                profile_batch=(5, 15) if self._profile else 0,
            )
        ]

    def finish(
        self,
        report: TrainingReport,
        files: list[Path],
        model: Path,
        examples: TransformedExamples,
        movies: npt.NDArray[np.float32],
    ) -> None:
        """Report what is known at the end.

        Args:
            report: Gives curves and the best validation metrics.
            files: Kept with MLflow's run.
            model: Folder of the trained model.
            examples: Titles and genres of the movies.
            movies: float32 [movies, dimension], the movie vectors for TensorBoard's projector.
        """
        if self._tensorboard is not None:
            _write_hyperparameters(self._tensorboard, report)
            _write_projector(self._tensorboard, examples, movies)
        if self.run_id is None:
            return
        import mlflow

        client = mlflow.MlflowClient()
        points = [
            _metric(f"{task}/{name}", value, step)
            for task, logs in report.curves.items()
            for name, values in logs.items()
            for step, value in enumerate(values, start=1)
        ]
        best = [_metric(f"best/{name}", value) for name, value in report.validation.items()]
        for start in range(0, len(points), 1000):  # MLflow takes no more at once
            client.log_batch(self.run_id, metrics=points[start : start + 1000])
        client.log_batch(self.run_id, metrics=best)
        for file in files:
            client.log_artifact(self.run_id, str(file))
        for name in SAVED_MODELS:
            if (model / name).is_dir():
                _log_model(name, model / name)


def track_evaluation(tracking: Tracking, model: Path, means: Mapping[str, float], report: Path) -> None:
    """Give the MLflow run that trained a model what the model reached on the test part.

    Args:
        tracking: Where the run was reported to.
        model: Folder of the trained model, whose `training.json` names the run.
        means: The metrics, such as `{"ndcg@10": 0.45}`.
        report: Folder of the evaluation's report.
    """
    run_id = TrainingReport.read(model).mlflow_run_id
    if run_id is None or tracking.mlflow_uri is None:
        return
    _without_telemetry()
    import mlflow

    client = mlflow.MlflowClient(tracking.mlflow_uri)
    try:
        client.log_batch(run_id, metrics=[_metric(f"test/{name}", value) for name, value in means.items()])
        client.log_artifacts(run_id, str(report), "evaluation")
    except mlflow.exceptions.MlflowException as error:
        # The run may have been deleted since: that makes the model no worse.
        logger.warning("MLflow's run %s does not get the evaluation: %s", run_id, error)


def _metric(name: str, value: float, step: int = 0) -> Any:
    from mlflow.entities import Metric

    return Metric(name.replace("@", "_at_"), value, int(time.time() * 1000), step)


def _without_telemetry() -> None:
    # MLflow would report its usage to its makers; whoever wants that sets the variable to false.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


def _log_model(name: str, folder: Path) -> None:
    """Give MLflow a SavedModel, with the signature that it has anyway."""
    import mlflow
    from mlflow.types import Schema, TensorSpec

    signature = tf.saved_model.load(str(folder)).signatures["serving_default"]

    def schema(specs: dict[str, tf.TensorSpec]) -> Schema:
        return Schema(
            [
                TensorSpec(
                    np.dtype(spec.dtype.as_numpy_dtype), [-1 if n is None else n for n in spec.shape], name
                )
                for name, spec in sorted(specs.items())
            ]
        )

    mlflow.pyfunc.log_model(
        name=name,
        python_model=str(Path(__file__).with_name("tracked_model.py")),
        artifacts={"saved_model": str(folder)},
        signature=mlflow.models.ModelSignature(
            inputs=schema(signature.structured_input_signature[1]),
            outputs=schema(signature.structured_outputs),
        ),
        pip_requirements=[f"tensorflow=={tf.__version__}", f"numpy=={np.__version__}"],
    )


def _write_hyperparameters(folder: Path, report: TrainingReport) -> None:
    """The row of this run in TensorBoard's table of hyperparameters."""
    from tensorboard.plugins.hparams import api as hparams

    # Without what says how to compute and not what.
    config = report.config.model_dump(mode="json", exclude={"input", "mixed_precision", "strategy"})
    values = {"seed": report.seed, **_flat(config)}
    with tf.summary.create_file_writer(str(folder)).as_default():
        plain = {
            name: value if isinstance(value, bool | int | float | str) else str(value)
            for name, value in values.items()
        }
        # The objective before the other metrics.
        metrics = sorted(report.validation, key=lambda name: "ndcg" not in name)
        hparams.hparams_config(
            hparams=[hparams.HParam(name) for name in plain],
            metrics=[hparams.Metric(f"best/{name}", display_name=name) for name in metrics],
        )
        hparams.hparams(plain, trial_id=folder.name)
        for name, value in report.validation.items():
            tf.summary.scalar(f"best/{name}", value, step=0)


def _write_projector(folder: Path, examples: TransformedExamples, movies: npt.NDArray[np.float32]) -> None:
    """The movie vectors for TensorBoard's projector, each with title and genres."""
    from tensorboard.plugins import projector

    folder.mkdir(parents=True, exist_ok=True)
    table = pq.read_table(examples.folder / "movies.parquet").sort_by(Columns.MOVIE_ID)
    assert np.array_equal(table.column(Columns.MOVIE_ID).to_numpy(), examples.movie_ids)
    titles = table.column(Columns.TITLE).to_pylist()
    genres = table.column(Columns.GENRES).to_pylist()
    lines = ["title\tgenres"]
    lines += [
        " ".join((title or "").split()) + "\t" + "|".join(names or ())
        for title, names in zip(titles, genres, strict=True)
    ]
    (folder / "movies.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    # A file of its own, because the projector looks for a checkpoint from where TensorBoard was started.
    movies.astype("<f4").tofile(folder / "movies.float32")
    config = projector.ProjectorConfig()
    config.embeddings.add(
        tensor_name="movies",
        tensor_path="movies.float32",
        tensor_shape=movies.shape,
        metadata_path="movies.tsv",
    )
    projector.visualize_embeddings(str(folder), config)


@contextmanager
def tracked(
    tracking: Tracking,
    config: TrainerConfig,
    seed: int,
    examples: TransformedExamples,
    unfinished: Path | None = None,
) -> Iterator[TrackedRun]:
    """Report what happens inside to MLflow and TensorBoard, as far as they are configured.

    An exception inside marks the run as failed.

    Args:
        tracking: Where to.
        config: Reported as parameters, dotted names.
        seed: Reported as a parameter.
        examples: Its split manifest is kept with the run.
        unfinished: Where training keeps its state: one that is killed and goes on goes on with its MLflow run
            and its TensorBoard folder, too. A new run without it.
    """
    if tracking.mlflow_uri is None:
        folder = Path(tracking.tensorboard) if tracking.tensorboard else None
        yield TrackedRun(None, folder, tracking.profile)
        return
    _without_telemetry()
    import mlflow

    if tracking.mlflow_artifacts is not None:
        # Without a server MLflow has no public setting for this, and would make `mlruns` where it is run.
        os.environ.setdefault("_MLFLOW_SERVER_ARTIFACT_ROOT", tracking.mlflow_artifacts)
    mlflow.set_tracking_uri(tracking.mlflow_uri)
    mlflow.set_experiment(tracking.experiment)
    name = f"{config.model.loss}-{config.model.dimension}-seed-{seed}"
    with mlflow.start_run(_run_before(unfinished), run_name=name) as run:
        if unfinished is not None:
            unfinished.mkdir(parents=True, exist_ok=True)
            (unfinished / _RUN_FILE).write_text(run.info.run_id, encoding="utf-8")
        mlflow.log_params({"seed": seed, **_flat(config.model_dump(mode="json"))})
        manifest = examples.folder / SplitManifest.file_name
        if manifest.is_file():
            mlflow.log_artifact(str(manifest))
        began = datetime.fromtimestamp(run.info.start_time / 1000, UTC)
        label = f"{began:%Y%m%dT%H%M%SZ}-{run.info.run_id[:8]}"
        folder = Path(tracking.tensorboard) / label if tracking.tensorboard else None
        yield TrackedRun(run.info.run_id, folder, tracking.profile)


def _run_before(unfinished: Path | None) -> str | None:
    """MLflow's id of the run that a killed training left, if it is still there."""
    import mlflow

    if unfinished is None or not (unfinished / _RUN_FILE).is_file():
        return None
    run_id = (unfinished / _RUN_FILE).read_text(encoding="utf-8")
    try:
        return str(mlflow.get_run(run_id).info.run_id)
    except mlflow.exceptions.MlflowException:  # another database, or the run was deleted
        return None


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
