"""From ratings to a model, through the same steps as the pipeline's."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from recommender.api.configuration import ModelConfig
from recommender.api.model import Model
from recommender.api.ratings import Ratings
from recommender.features.transform import transform
from recommender.features.transformed_examples import TransformedExamples
from recommender.push import RunDescription, write_run_release
from recommender.retrieval.build_index import build_index
from recommender.scratch_folder import ScratchFolder
from recommender.training.configuration import Tracking

logger = logging.getLogger(__name__)


def train(ratings: Ratings, config: ModelConfig | Mapping[str, Any] | None = None) -> Model:
    """Split the ratings, fit a model, judge it on the test part, and make it ready to recommend.

    One seed gives one result on one machine. The model lies in a temporary folder (`TMPDIR` says where) until
    it is saved, and goes with the object. `logging.basicConfig(level=logging.INFO)` shows how it gets on.

    Args:
        ratings: What to learn from.
        config: How; or the fields in which it is to differ from `ModelConfig()`, in sections, such as
            `{"trainer": {"epochs": 3}}`.

    Raises:
        DataError: the filters leave no rating.
        TrainingError: there is nothing to train on, or the loss stopped being a number.
        pydantic.ValidationError: a key or a value of `config` that does not fit, with its path.
    """
    # TensorFlow takes seconds to import.
    from recommender.evaluation.evaluate import evaluate
    from recommender.models.embeddings import write_embeddings
    from recommender.training.fit import train as fit_and_write

    chosen = config if isinstance(config, ModelConfig) else ModelConfig.changed(config or {})
    started = time.perf_counter()
    kept = ScratchFolder("marquee-model-")
    with ScratchFolder("marquee-training-") as scratch, _without_warnings_of_tensorflow():
        work = scratch.path
        transform(ratings.folder, chosen.transform, chosen.seed, work / "transformed", chosen.engine)
        transformed = TransformedExamples(work / "transformed")
        fit_and_write(transformed, chosen.trainer, chosen.seed, Tracking(), work / "model")
        evaluation = evaluate(transformed, work / "model", chosen.evaluator, chosen.seed)
        evaluation.write(work / "evaluation")
        write_embeddings(ratings.folder, transformed, work / "model", work / "embeddings")
        build_index(work / "embeddings", chosen.indexer, work / "index")
        version = write_run_release(
            RunDescription(config=chosen.model_dump(mode="json"), seed=chosen.seed, git_commit=None),
            releases=kept.path,
            examples=ratings.folder,
            transformed=work / "transformed",
            model=work / "model",
            evaluation=work / "evaluation",
            embeddings=work / "embeddings",
            index=work / "index",
        )
    logger.info("Trained and judged in %.0f s", time.perf_counter() - started)
    return Model.open(kept.path / version, kept)


@contextmanager
def _without_warnings_of_tensorflow() -> Iterator[None]:
    """Keep a notebook readable: saving alone warns dozens of times of what is meant to be so."""
    tensorflow = logging.getLogger("tensorflow")
    before = tensorflow.level
    tensorflow.setLevel(logging.ERROR)
    try:
        yield
    finally:
        tensorflow.setLevel(before)
