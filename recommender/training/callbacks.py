"""What happens between epochs: validation, progress, the best weights, a stop when a loss is no number."""

import logging
import math
import time
from collections.abc import Callable
from typing import Any, Final

import tensorflow as tf

from recommender.errors import TrainingError

_SHOWN: Final = ("loss", "val_ndcg@10", "val_coverage@10", "val_rmse")
"""What is worth a look after every epoch; MLflow and TensorBoard get the rest."""

logger = logging.getLogger(__name__)


class Validation(tf.keras.callbacks.Callback):
    """Adds validation metrics to the logs of each epoch, so that early stopping can watch them.

    Args:
        evaluate: Computes them, such as `{"val_ndcg@10": 0.2}`.
    """

    def __init__(self, evaluate: Callable[[], dict[str, float]]) -> None:
        super().__init__()
        self._evaluate = evaluate

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Evaluate."""
        if logs is not None:
            logs.update(self._evaluate())


class Progress(tf.keras.callbacks.Callback):
    """Says after each epoch how far training is, how fast, and how long it may still take.

    Args:
        label: What is being trained.
        epochs: Most epochs.
        ratings: Ratings seen in an epoch.
    """

    def __init__(self, label: str, epochs: int, ratings: int) -> None:
        super().__init__()
        self._label, self._epochs, self._ratings = label, epochs, ratings
        self._done = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        self._began = self._epoch_began = time.perf_counter()
        self._done = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the epoch's clock."""
        self._epoch_began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Report."""
        now = time.perf_counter()
        self._done += 1  # Fewer than `epoch` where training continues.
        left = (now - self._began) / self._done * (self._epochs - epoch - 1)
        numbers = "  ".join(f"{name} {value:.4f}" for name, value in (logs or {}).items() if name in _SHOWN)
        speed = self._ratings / (now - self._epoch_began)
        logger.info(
            "%s: epoch %d of at most %d  %s  %s ratings/s  at most %.0f s left",
            self._label,
            epoch + 1,
            self._epochs,
            numbers,
            f"{speed:,.0f}",
            left,
        )


class StopOnNaN(tf.keras.callbacks.Callback):
    """Ends training where the loss stops being a number, and gives each epoch its mean loss.

    Losses are looked at some steps at a time: reading each at once would make the device wait for Python.
    """

    _STEPS_AT_ONCE = 64
    # Keras then hands over the loss as it is on the device.
    _supports_tf_logs = True

    def __init__(self) -> None:
        super().__init__()
        self._unread: list[Any] = []
        self._losses: list[float] = []
        self._steps_before = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Begin a new mean."""
        self._steps_before += len(self._losses)
        self._losses = []

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Note the loss.

        Raises:
            TrainingError: the loss was NaN or infinite, at this step or one shortly before.
        """
        if logs is not None and "loss" in logs:
            self._unread.append(logs["loss"])
        if len(self._unread) >= self._STEPS_AT_ONCE:
            self._read()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Put the mean in place of the last step's loss, and leave out TFRS's other two: without penalties on
        weights one is 0, and the other the last step's loss once more.

        Raises:
            TrainingError: the loss was NaN or infinite.
        """
        self._read()
        if logs is not None and self._losses:
            logs["loss"] = math.fsum(self._losses) / len(self._losses)
            for name in ("regularization_loss", "total_loss"):
                logs.pop(name, None)

    def _read(self) -> None:
        for loss in self._unread:
            self._losses.append(float(loss))
            if not math.isfinite(self._losses[-1]):
                raise TrainingError(
                    f"The loss became {self._losses[-1]} at step {self._steps_before + len(self._losses)}. "
                    "Lower trainer.learning_rate, or raise trainer.model.temperature."
                )
        self._unread = []


class BestWeights(tf.keras.callbacks.EarlyStopping):
    """Early stopping that always ends with the weights of the best epoch, and can go on where it was."""

    def __init__(self, monitor: str, mode: str, patience: int) -> None:
        super().__init__(monitor=monitor, mode=mode, patience=patience, restore_best_weights=True)
        self._before: dict[str, Any] = {}

    def continue_from(self, best: float, best_epoch: int, wait: int, best_weights: list[Any] | None) -> None:
        """Begin with what an earlier part of the same training has seen.

        Args:
            best: The best value so far.
            best_epoch: Its epoch, from 0.
            wait: Epochs since then.
            best_weights: The model's weights after that epoch.
        """
        self._before = {"best": best, "best_epoch": best_epoch, "wait": wait, "best_weights": best_weights}
        self._continue()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Forget everything but what this training continues from."""
        super().on_train_begin(logs)
        self._continue()

    def _continue(self) -> None:
        for name, value in self._before.items():
            setattr(self, name, value)

    @property
    def epochs(self) -> int:
        """Epochs after which the model was best."""
        return int(self.best_epoch) + 1


class OnAveragedWeights(tf.keras.callbacks.Callback):
    """Lets other callbacks see the running average of the weights, as the optimizer keeps it.

    Training itself goes on with the weights as they were.

    Args:
        inner: What happens at the end of each epoch.
    """

    def __init__(self, inner: list[tf.keras.callbacks.Callback]) -> None:
        super().__init__()
        self._inner = inner

    def set_model(self, model: tf.keras.Model) -> None:
        """Remember whose weights."""
        super().set_model(model)
        for callback in self._inner:
            callback.set_model(model)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Begin."""
        for callback in self._inner:
            callback.on_train_begin(logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Put the average in place of the weights for a moment."""
        weights = self.model.get_weights()
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
        for callback in self._inner:
            callback.on_epoch_end(epoch, logs)
        self.model.set_weights(weights)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """End."""
        for callback in self._inner:
            callback.on_train_end(logs)
