"""Marquee's library: everything that is worth testing without a pipeline or a server."""

import os

# TensorFlow Recommenders needs Keras 2, and TensorFlow reads this once, when it is first imported.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
