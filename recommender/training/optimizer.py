"""The optimizer of the towers."""

import math

import tensorflow as tf

from recommender.training.configuration import RetrievalTrainingConfig


class WarmUpThen(tf.keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises in equal steps, then stays or falls to 0 along a half cosine.

    At step `t` of `T` in all, `W` of them for warming up, with the highest rate `r`::

        t < W          r * (t + 1) / W
        constant       r
        cosine         r / 2 * (1 + cos(pi * (t - W) / (T - W)))

    The cosine is that of Loshchilov and Hutter, "SGDR" (ICLR 2017), eq. 5, without restarts.

    Args:
        highest: `r`.
        steps: `T`.
        warmup_steps: `W`.
        cosine: Whether the rate falls.
    """

    def __init__(self, highest: float, steps: int, warmup_steps: int, cosine: bool) -> None:
        self._highest, self._steps, self._warmup_steps, self._cosine = highest, steps, warmup_steps, cosine

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The rate of a step, counted from 0: a float32 scalar."""
        step = tf.cast(step, tf.float32)
        warmup = tf.cast(self._warmup_steps, tf.float32)
        after: tf.Tensor = tf.constant(1.0)
        if self._cosine:
            left = max(1, self._steps - self._warmup_steps)
            after = 0.5 * (1 + tf.cos(math.pi * tf.minimum((step - warmup) / left, 1.0)))
        return self._highest * tf.where(step < warmup, (step + 1) / tf.maximum(warmup, 1.0), after)

    def get_config(self) -> dict[str, float]:
        """The arguments, as Keras wants them."""
        return {
            "highest": self._highest,
            "steps": self._steps,
            "warmup_steps": self._warmup_steps,
            "cosine": self._cosine,
        }


def make_optimizer(
    config: RetrievalTrainingConfig, steps_per_epoch: int, replicas: int = 1
) -> tf.keras.optimizers.Optimizer:
    """Adam, or AdamW with decoupled weight decay, with clipping by global norm.

    Args:
        config: Hyperparameters.
        steps_per_epoch: What the schedule, given in epochs, is counted out by.
        replicas: Devices that train together. Keras adds their gradients up, where the loss of one is a mean:
            Adam does not mind the factor, and clipping takes it into account.
    """
    rate: float | WarmUpThen = config.learning_rate
    if config.schedule == "cosine" or config.warmup_epochs:
        rate = WarmUpThen(
            config.learning_rate,
            config.epochs * steps_per_epoch,
            round(config.warmup_epochs * steps_per_epoch),
            config.schedule == "cosine",
        )
    options = {
        "global_clipnorm": config.clip_norm * replicas,
        "use_ema": config.weight_average > 0,
        "ema_momentum": config.weight_average,
    }
    if config.weight_decay:
        return tf.keras.optimizers.AdamW(rate, weight_decay=config.weight_decay, **options)
    return tf.keras.optimizers.Adam(rate, **options)
