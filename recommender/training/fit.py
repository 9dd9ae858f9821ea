"""Fitting the towers and the ranking head, with stopping chosen on the validation part."""

import logging
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import tensorflow as tf

from recommender.errors import TrainingError
from recommender.evaluation.evaluator import dot_product
from recommender.features.transformed_examples import History, Interactions, Part, TransformedExamples
from recommender.models.lite_models import save_online_model
from recommender.models.ranking_head import RankingHead
from recommender.models.saved_models import save_movie_tower, save_ranking_head, save_user_tower
from recommender.models.two_tower import TwoTowerModel
from recommender.retrieval.candidate_features import CandidateFeatures
from recommender.training.checkpoint import WorkerFolders, identity
from recommender.training.configuration import Tracking, TrainerConfig
from recommender.training.fit_ranking import fit_ranking
from recommender.training.fit_re_ranker import FittedReRanker, fit_re_ranker, write_re_ranker
from recommender.training.fit_retrieval import fit_retrieval
from recommender.training.precision import compute_in_full
from recommender.training.report import EpochLogs, TrainingReport
from recommender.training.strategy import is_chief, make_strategy, of_workers
from recommender.training.tracking import tracked

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FittedModel:
    """What training made.

    Attributes:
        two_tower: The towers.
        ranking_head: Predicts ratings.
        re_ranker: What orders their candidates anew, if that was asked for.
        fitted_on: The ratings that they were fitted on in the end.
        epochs: How many epochs each was best after.
        validation: The best validation metrics.
        curves: The logs of each epoch.
        seconds: How long each fit took.
    """

    two_tower: TwoTowerModel
    ranking_head: RankingHead
    re_ranker: FittedReRanker | None
    fitted_on: Interactions = field(repr=False)
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
    *,
    strategy: tf.distribute.Strategy | None = None,
    checkpoints: Path | WorkerFolders | None = None,
) -> FittedModel:
    """Fit the towers, the ranking head, and the re-ranker on what the towers recall.

    Without a validation part training goes through all its epochs.

    Args:
        examples: What Transform wrote.
        config: Hyperparameters.
        seed: Of initial weights, dropout and order.
        callbacks: More Keras callbacks for the fit that chooses the number of epochs.
        strategy: Which devices fit the towers, as `make_strategy` gives it; one if not given. Each worker
            fits the ranking head by itself.
        checkpoints: Where the fits of towers and head keep their state after each epoch and continue from;
            nothing is kept without one.

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
        examples,
        config,
        seed,
        ("train",),
        train,
        validation,
        config.epochs,
        callbacks or [],
        strategy=strategy,
        checkpoints=checkpoints and checkpoints / "retrieval",
    )
    result: dict[str, float] = {}
    if len(validation):
        best = retrieval.epochs - 1
        result = {name: values[best] for name, values in retrieval.curves.items() if name.startswith("val_")}
    size = examples.n_users, examples.n_movies
    ranking = fit_ranking(
        config,
        seed,
        *size,
        train,
        validation,
        config.ranking.epochs,
        checkpoints=checkpoints and checkpoints / "ranking",
    )
    if "val_rmse" in ranking.curves:
        result["val_rmse"] = ranking.curves["val_rmse"][ranking.epochs - 1]
    two_tower, ranking_head, fitted_on = retrieval.model, ranking.model, train
    epochs = {"retrieval": retrieval.epochs, "ranking": ranking.epochs}
    curves = {"retrieval": retrieval.curves, "ranking": ranking.curves}
    seconds = {"retrieval": retrieval.seconds, "ranking": ranking.seconds}
    re_ranker = None
    if config.re_ranker is not None and len(validation):
        users = two_tower.user_vectors(History.of(train, examples.n_users))
        scorer = dot_product(users, two_tower.movie_vectors())
        re_ranker = fit_re_ranker(examples, config.re_ranker, seed, train, validation, scorer)
        epochs["re_ranking"] = re_ranker.epochs
        curves["re_ranking"] = re_ranker.curves
        seconds["re_ranking"] = re_ranker.seconds
    if config.refit and len(validation):
        both: tuple[Part, ...] = ("train", "validation")
        known, nothing = train + validation, validation.none()
        again = fit_retrieval(
            examples,
            config,
            seed,
            both,
            known,
            nothing,
            retrieval.epochs,
            [],
            chosen=retrieval.chosen,
            strategy=strategy,
            checkpoints=checkpoints and checkpoints / "retrieval-on-everything",
        )
        head_again = fit_ranking(
            config,
            seed,
            *size,
            known,
            nothing,
            ranking.epochs,
            checkpoints=checkpoints and checkpoints / "ranking-on-everything",
        )
        two_tower, ranking_head, fitted_on = again.model, head_again.model, known
        seconds["retrieval"] += again.seconds
        seconds["ranking"] += head_again.seconds
    return FittedModel(two_tower, ranking_head, re_ranker, fitted_on, epochs, result, curves, seconds)


def train(
    examples: TransformedExamples,
    config: TrainerConfig,
    seed: int,
    tracking: Tracking,
    output: Path,
    unfinished: Path | None = None,
) -> FittedModel:
    """Fit, report to MLflow and TensorBoard, and write the model.

    Of several workers only the first reports and writes.

    Args:
        examples: What Transform wrote.
        config: Hyperparameters.
        seed: Of everything random.
        tracking: Where the run reports to.
        output: Gets `user_tower/`, `movie_tower/` and `ranker/` (SavedModels), `online/` (what answers
            without TensorFlow), `re_ranker/` where the configuration has one, and `training.json`.
        unfinished: Where a run keeps its state until it is finished, in a folder named after everything that
            the result follows from: killed and started again, it goes on from its last epoch, and another
            run never does. Nothing is kept without it. Several workers have to see the same folder.
    """
    strategy = make_strategy(config)
    state = unfinished and unfinished / identity(examples, config, seed, strategy.num_replicas_in_sync)
    checkpoints = state and of_workers(state, strategy)
    if not is_chief(strategy):
        return fit(examples, config, seed, strategy=strategy, checkpoints=checkpoints)
    with tracked(tracking, config, seed, examples, state) as run:
        fitted = fit(examples, config, seed, run.callbacks(), strategy=strategy, checkpoints=checkpoints)
        output.mkdir(parents=True, exist_ok=True)
        compute_in_full(fitted.two_tower)
        save_user_tower(fitted.two_tower.user_tower, examples, output / "user_tower")
        save_movie_tower(fitted.two_tower.movie_tower, examples, output / "movie_tower")
        save_ranking_head(fitted.ranking_head, examples, config.model.output_dimension, output / "ranker")
        movies = fitted.two_tower.movie_vectors()
        save_online_model(fitted.two_tower.user_tower, fitted.ranking_head, examples, output / "online")
        if fitted.re_ranker is not None:
            assert config.re_ranker is not None
            history = History.of(fitted.fitted_on, examples.n_users)
            features = CandidateFeatures.fit(history, examples, config.re_ranker)
            write_re_ranker(
                fitted.re_ranker.model, features, config.re_ranker.candidates, output / "re_ranker"
            )
        report = TrainingReport(
            config=config,
            seed=seed,
            epochs=fitted.epochs,
            validation=fitted.validation,
            seconds=fitted.seconds,
            curves=fitted.curves,
            mlflow_run_id=run.run_id,
        )
        run.finish(report, [report.write(output)], output, examples, movies)
    if state is not None:
        shutil.rmtree(state, ignore_errors=True)
    logger.info(
        "retrieval was best after %d epochs, ranking after %d; fitting took %.0f s",
        fitted.epochs["retrieval"],
        fitted.epochs["ranking"],
        sum(fitted.seconds.values()),
    )
    return fitted
