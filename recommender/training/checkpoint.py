"""The state of a fit after each epoch, so that one that is killed goes on as if nothing had happened."""

import hashlib
import json
import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from recommender.data.splits import SplitManifest
from recommender.data.written_whole import written_whole
from recommender.document import Document
from recommender.errors import DataError
from recommender.features.transformed_examples import TransformedExamples
from recommender.training.callbacks import BestWeights
from recommender.training.configuration import TrainerConfig
from recommender.training.report import EpochLogs

logger = logging.getLogger(__name__)

BEST_WEIGHTS_FILE = "best_weights.npz"


@dataclass(frozen=True)
class WorkerFolders:
    """Where several workers keep their states of one fit, each in a folder of its own.

    Attributes:
        of_all: One a worker, which all of them see.
        index: This worker's.
    """

    of_all: tuple[Path, ...]
    index: int

    def __truediv__(self, name: str) -> "WorkerFolders":
        return WorkerFolders(tuple(folder / name for folder in self.of_all), self.index)


def identity(examples: TransformedExamples, config: TrainerConfig, seed: int, replicas: int = 1) -> str:
    """A name for everything that the result of training follows from: 16 hexadecimal digits.

    Args:
        examples: Its split manifest holds the hashes of all ratings.
        config: Hyperparameters.
        seed: Of everything random.
        replicas: Devices of all workers, which share the ratings out.
    """
    split = SplitManifest.read(examples.folder).model_dump(mode="json")
    # Other code may compute something else from the same configuration: the pipeline tells which this is.
    code = os.environ.get("MARQUEE_SOURCE_DIGEST", "")
    everything = [split, config.model_dump(mode="json"), seed, replicas, tf.__version__, code]
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()[:16]


class FitState(Document):
    """`state.json` beside the variables of a checkpoint."""

    file_name = "state.json"
    written_by = "Trainer"

    epochs: int
    """Epochs that are done."""
    finished: bool
    """Whether no further epoch is wanted: all are done, or there was no better one for too long."""
    curves: EpochLogs
    """Loss and validation metrics of each epoch."""
    best: float | None
    """The best value of what is watched; nothing where nothing is."""
    best_epoch: int
    """Its epoch, from 0."""
    wait: int
    """Epochs since then."""


class Checkpoint(tf.keras.callbacks.Callback):
    """Writes a checkpoint after each epoch, and continues from the one that is there.

    A checkpoint is a folder `epoch-00012` with the variables of the model and of its optimizer, the state of
    random generators among them, the best weights so far and `state.json`. It appears under its name when it
    is complete; then the one before it goes. What an epoch draws follows from its number and from that state,
    so the weights at the end are the same, bit for bit on one machine, however often the fit was killed.

    Several workers write one each, and go on from the newest epoch that all of them have written: they end an
    epoch together, but not the writing, so each keeps the one before, too.

    The last of the callbacks: what it writes is what the others leave.

    Args:
        folder: Of this fit alone, or those of its workers; nothing is written without one.
        epochs: All epochs of the fit.
        best: What remembers the best epoch, where one is looked for.
    """

    def __init__(self, folder: Path | WorkerFolders | None, epochs: int, best: BestWeights | None) -> None:
        super().__init__()
        self._epochs, self._best, self._kept = epochs, best, 1
        self._folder = folder if isinstance(folder, Path) else None
        if isinstance(folder, WorkerFolders):
            self._folder, self._kept = folder.of_all[folder.index], 2
            _forget_what_not_all_have(folder)
        newest = self._newest()
        self._state = None if newest is None else FitState.read(newest)
        self.curves: EpochLogs = {}
        """Of the epochs before and after a kill alike."""
        self.done = 0
        """Epochs that are done."""
        self.finished = False
        """Whether no further epoch is wanted."""
        if self._state is not None:
            self.curves, self.done = dict(self._state.curves), self._state.epochs
            self.finished = self._state.finished

    def restore(self, model: tf.keras.Model) -> None:
        """Bring a model, its optimizer and the callbacks to where the checkpoint was written.

        Args:
            model: Compiled, with all its variables and those of its optimizer made. Where the fit was
                finished, it gets the weights that the fit ended with.

        Raises:
            DataError: the checkpoint cannot be read, or is not one of this model.
        """
        folder, state = self._newest(), self._state
        if folder is None or state is None:
            return
        try:
            saved = tf.train.Checkpoint(model=model).read(str(folder / "variables"))
            saved.assert_existing_objects_matched()
            best_weights = None
            if state.best is not None:
                with np.load(folder / BEST_WEIGHTS_FILE) as arrays:
                    best_weights = [arrays[name] for name in arrays.files]
        except (OSError, ValueError, AssertionError, tf.errors.OpError) as error:
            raise DataError(
                f"{folder} cannot be used to continue training ({error}): remove it, to begin anew."
            ) from error
        if self._best is not None and state.best is not None:
            self._best.continue_from(state.best, state.best_epoch, state.wait, best_weights)
        if self.finished:
            model.optimizer.finalize_variable_values(model.trainable_variables)
            if best_weights is not None:
                model.set_weights(best_weights)
        logger.info("continuing after epoch %d, from %s", self.done, folder)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write."""
        for name, value in (logs or {}).items():
            self.curves.setdefault(name, []).append(float(value))
        self.done = epoch + 1
        self.finished = self.model.stop_training or self.done >= self._epochs
        if self._folder is None:
            return
        before = self._newest()
        with written_whole(self._folder / f"epoch-{self.done:05}") as folder:
            tf.train.Checkpoint(model=self.model).write(str(folder / "variables"))
            best, best_epoch, wait = None, epoch, 0
            if self._best is not None and self._best.best_weights is not None:
                best, best_epoch, wait = float(self._best.best), int(self._best.best_epoch), self._best.wait
                self._write_best_weights(folder, before, best_epoch == epoch)
            FitState(
                epochs=self.done,
                finished=self.finished,
                curves=self.curves,
                best=best,
                best_epoch=best_epoch,
                wait=wait,
            ).write(folder)
        for old in _checkpoints(self._folder)[: -self._kept]:
            shutil.rmtree(old)

    def _write_best_weights(self, folder: Path, before: Path | None, is_new: bool) -> None:
        file = folder / BEST_WEIGHTS_FILE
        if is_new or before is None:
            assert self._best is not None
            np.savez(file, *self._best.best_weights)
        else:
            file.hardlink_to(before / BEST_WEIGHTS_FILE)

    def _newest(self) -> Path | None:
        return None if self._folder is None else next(reversed(_checkpoints(self._folder)), None)


def _checkpoints(folder: Path) -> list[Path]:
    """Oldest first."""
    return sorted(folder.glob("epoch-*")) if folder.is_dir() else []


def _forget_what_not_all_have(folders: WorkerFolders) -> None:
    """Leave this worker nothing newer than what every worker has written."""
    written = [{checkpoint.name for checkpoint in _checkpoints(folder)} for folder in folders.of_all]
    common = max(set.intersection(*written), default="")
    for checkpoint in _checkpoints(folders.of_all[folders.index]):
        if checkpoint.name > common:
            shutil.rmtree(checkpoint)
