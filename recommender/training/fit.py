"""Fitting the towers and the ranking head, with stopping chosen on the validation part."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

import tensorflow as tf

from recommender.errors import TrainingError
from recommender.features.transformed_examples import Part, TransformedExamples
from recommender.models.ranking_head import RankingHead
from recommender.models.saved_models import save_movie_tower, save_ranking_head, save_user_tower
from recommender.models.two_tower import TwoTowerModel
from recommender.training.configuration import Tracking, TrainerConfig
from recommender.training.fit_ranking import fit_ranking
from recommender.training.fit_retrieval import fit_retrieval
from recommender.training.report import EpochLogs, TrainingReport
from recommender.training.tracking import tracked

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FittedModel:
    """What training made.

    Attributes:
        two_tower: The towers.
        ranking_head: The head on top of them.
        epochs: How many epochs each was best after.
        validation: The best validation metrics.
        curves: The logs of each epoch.
        seconds: How long each fit took.
    """

    two_tower: TwoTowerModel
    ranking_head: RankingHead
    epochs: dict[str, int]
    validation: dict[str, float]
    curves: dict[str, EpochLogs] = field(repr=False)
    seconds: dict[str, float]


def seed_everything(seed: int) -> None:
    """Make TensorFlow's, NumPy's and Python's random numbers, and the order of sums, repeatable."""
    tf.keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def fit(
    examples: TransformedExamples,
    config: TrainerConfig,
    seed: int,
    callbacks: list[tf.keras.callbacks.Callback] | None = None,
) -> FittedModel:
    """Fit the towers, then the ranking head on their vectors.

    Without a validation part training goes through all its epochs.

    Args:
        examples: What Transform wrote.
        config: Hyperparameters.
        seed: Of initial weights, dropout and order.
        callbacks: More Keras callbacks for the fit that chooses the number of epochs.

    Raises:
        TrainingError: there is nothing to train on, or the loss stopped being a number.
    """
    seed_everything(seed)
    train = examples.interactions("train").known()
    validation = examples.interactions("validation").known()
    if not len(train):
        raise TrainingError(
            "The training part has no ratings: loosen the filters of transform.split, or give more ratings."
        )
    retrieval = fit_retrieval(
        examples, config, seed, ("train",), train, validation, config.epochs, callbacks or []
    )
    result: dict[str, float] = {}
    if len(validation):
        best = retrieval.epochs - 1
        result = {name: values[best] for name, values in retrieval.curves.items() if name.startswith("val_")}
    ranking = fit_ranking(
        examples, config, seed, retrieval.model, ("train",), train, validation, config.ranking.epochs
    )
    if "val_rmse" in ranking.curves:
        result["val_rmse"] = ranking.curves["val_rmse"][ranking.epochs - 1]
    two_tower, ranking_head = retrieval.model, ranking.model
    seconds = {"retrieval": retrieval.seconds, "ranking": ranking.seconds}
    if config.refit and len(validation):
        both: tuple[Part, ...] = ("train", "validation")
        known, nothing = train + validation, validation.none()
        again = fit_retrieval(examples, config, seed, both, known, nothing, retrieval.epochs, [])
        head_again = fit_ranking(examples, config, seed, again.model, both, known, nothing, ranking.epochs)
        two_tower, ranking_head = again.model, head_again.model
        seconds = {
            "retrieval": retrieval.seconds + again.seconds,
            "ranking": ranking.seconds + head_again.seconds,
        }
    return FittedModel(
        two_tower,
        ranking_head,
        {"retrieval": retrieval.epochs, "ranking": ranking.epochs},
        result,
        {"retrieval": retrieval.curves, "ranking": ranking.curves},
        seconds,
    )


def train(
    examples: TransformedExamples, config: TrainerConfig, seed: int, tracking: Tracking, output: Path
) -> FittedModel:
    """Fit, report to MLflow and TensorBoard, and write the model.

    Args:
        examples: What Transform wrote.
        config: Hyperparameters.
        seed: Of everything random.
        tracking: Where the run reports to.
        output: Gets `user_tower/`, `movie_tower/` and `ranker/` (SavedModels) and `training.json`.
    """
    with tracked(tracking, config, seed, examples) as run:
        fitted = fit(examples, config, seed, run.callbacks())
        output.mkdir(parents=True, exist_ok=True)
        save_user_tower(fitted.two_tower.user_tower, examples, output / "user_tower")
        save_movie_tower(fitted.two_tower.movie_tower, examples, output / "movie_tower")
        save_ranking_head(fitted.ranking_head, examples, config.model.dimension, output / "ranker")
        report = TrainingReport(
            config=config,
            seed=seed,
            epochs=fitted.epochs,
            validation=fitted.validation,
            seconds=fitted.seconds,
            curves=fitted.curves,
            mlflow_run_id=run.run_id,
        )
        run.finish(report, [report.write(output)])
    logger.info(
        "retrieval was best after %d epochs, ranking after %d; fitting took %.0f s",
        fitted.epochs["retrieval"],
        fitted.epochs["ranking"],
        sum(fitted.seconds.values()),
    )
    return fitted
