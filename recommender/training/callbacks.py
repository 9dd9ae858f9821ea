"""What happens between epochs: validation, progress, and a stop when numbers are no longer numbers."""

import logging
import math
import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from recommender.errors import TrainingError

SHOWN = ("loss", "val_ndcg@10", "val_coverage@10", "val_rmse")
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

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        self._began = self._epoch_began = time.perf_counter()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the epoch's clock."""
        self._epoch_began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Report."""
        now = time.perf_counter()
        left = (now - self._began) / (epoch + 1) * (self._epochs - epoch - 1)
        numbers = "  ".join(f"{name} {value:.4f}" for name, value in (logs or {}).items() if name in SHOWN)
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
    """Ends training at the step where the loss stops being a number."""

    def __init__(self) -> None:
        super().__init__()
        self._step = 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Check the loss.

        Raises:
            TrainingError: the loss is NaN or infinite.
        """
        self._step += 1
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            raise TrainingError(
                f"The loss became {loss} at step {self._step}. Lower trainer.learning_rate, or raise "
                "trainer.model.temperature."
            )


class BestWeights(tf.keras.callbacks.EarlyStopping):
    """Early stopping that remembers its best epoch and always ends with that epoch's weights.

    Keras's own restores them only when patience runs out, not when the last epoch is reached.
    """

    def __init__(self, monitor: str, mode: str, patience: int) -> None:
        super().__init__(monitor=monitor, mode=mode, patience=patience, restore_best_weights=True)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Put the best weights back."""
        if self.best_weights is not None:
            self.model.set_weights(self.best_weights)

    @property
    def epochs(self) -> int:
        """Epochs after which the model was best."""
        return int(self.best_epoch) + 1
