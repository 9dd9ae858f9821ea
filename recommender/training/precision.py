"""Computing in half precision where a GPU is fast at it."""

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

_FIRST_WITH_BFLOAT16 = (8, 0)
"""Compute capability: Ampere."""


def computes_in_half(wanted: bool) -> bool:
    """Whether layers compute in bfloat16: where it is wanted and all GPUs are fast at it.

    Variables, and so the trained model, stay float32. bfloat16 has the range of float32, so losses need no
    scaling, as they would with float16.
    """
    gpus = tf.config.list_physical_devices("GPU")
    capabilities = [tf.config.experimental.get_device_details(gpu).get("compute_capability") for gpu in gpus]
    return wanted and bool(gpus) and all(known and known >= _FIRST_WITH_BFLOAT16 for known in capabilities)


@contextmanager
def layers_in_half(half: bool) -> Iterator[None]:
    """Layers that are made inside compute in bfloat16."""
    before = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16" if half else before)
    try:
        yield
    finally:
        tf.keras.mixed_precision.set_global_policy(before)


def compute_in_full(model: tf.keras.Model) -> None:
    """Let a trained model compute in float32 from now on, as it does wherever it is served.

    Args:
        model: Whatever its layers were made to compute in; its variables are float32.
    """
    full = tf.keras.mixed_precision.Policy("float32")
    for layer in (model, *model.submodules):
        if isinstance(layer, tf.keras.layers.Layer):
            # Keras 2 has no public way to do so.
            layer._set_dtype_policy(full)
