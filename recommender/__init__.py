"""Marquee's library: everything that is worth testing without a pipeline or a server.

The names below are all that a notebook needs; `docs/python-api.md` shows them at work. They are imported when
they are first asked for, and TensorFlow when something is trained.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from recommender.api.configuration import ModelConfig
    from recommender.api.model import Explanation, Model
    from recommender.api.ratings import Ratings, load_ratings
    from recommender.api.train import train
    from recommender.errors import MarqueeError
    from recommender.retrieval.movie_filter import MovieFilter

__all__ = (
    "Explanation",
    "MarqueeError",
    "Model",
    "ModelConfig",
    "MovieFilter",
    "Ratings",
    "load_ratings",
    "train",
)

# TensorFlow Recommenders needs Keras 2, and TensorFlow reads this once, when it is first imported.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

_HOME_OF: Final = {
    "Explanation": "recommender.api.model",
    "MarqueeError": "recommender.errors",
    "Model": "recommender.api.model",
    "ModelConfig": "recommender.api.configuration",
    "MovieFilter": "recommender.retrieval.movie_filter",
    "Ratings": "recommender.api.ratings",
    "load_ratings": "recommender.api.ratings",
    "train": "recommender.api.train",
}


def __getattr__(name: str) -> Any:
    """Import a name when it is asked for (PEP 562): the service and the command line need none of them."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
