"""Searching hyperparameters with Keras Tuner, judged by validation NDCG@10."""

import hashlib
import json
import logging
import math
from pathlib import Path
from typing import Any

import keras_tuner
from pydantic import ValidationError

from recommender.data.splits import SplitManifest
from recommender.errors import TrainingError
from recommender.features.transformed_examples import TransformedExamples
from recommender.training.configuration import TrainerConfig, TunerConfig
from recommender.training.fit import fit

logger = logging.getLogger(__name__)

OBJECTIVE = "val_ndcg@10"


def with_values(config: TrainerConfig, values: dict[str, Any]) -> TrainerConfig:
    """A configuration with some fields replaced, by dotted name.

    Raises:
        TrainingError: there is no such field, or the value does not fit it.
    """
    tree = config.model_dump(mode="json")
    for name, value in values.items():
        *path, last = name.split(".")
        branch: Any = tree
        for key in path:
            branch = branch.get(key) if isinstance(branch, dict) else None
        if not isinstance(branch, dict) or last not in branch:
            raise TrainingError(f"tuner.space.{name}: the trainer has no such field.")
        branch[last] = value
    try:
        return TrainerConfig.from_mapping(tree)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise TrainingError(f"tuner.space: {where}: {problem['msg']}, got {problem['input']!r}.") from error


class _Tuner(keras_tuner.Tuner):
    """Keras Tuner's own run_trial accepts Keras 3 models only, so each trial fits a whole configuration."""

    def __init__(
        self,
        examples: TransformedExamples,
        trainer: TrainerConfig,
        config: TunerConfig,
        seed: int,
        **options: Any,
    ) -> None:
        self._examples, self._trainer, self._config, self._seed = examples, trainer, config, seed
        super().__init__(**options)

    def run_trial(self, trial: Any, *_: Any, **__: Any) -> dict[str, float]:
        """Fit once and report the best validation NDCG@10."""
        chosen = {
            name: trial.hyperparameters.Choice(name, list(values))
            for name, values in self._config.space.items()
        }
        config = with_values(
            self._trainer, {**chosen, "epochs": self._config.epochs, "refit": False, "ranking.epochs": 1}
        )
        fitted = fit(self._examples, config, self._seed)
        score = fitted.validation[OBJECTIVE]
        logger.info("trial %s: %s %.4f with %s", trial.trial_id, OBJECTIVE, score, chosen)
        return {OBJECTIVE: score}


def tune(
    examples: TransformedExamples, trainer: TrainerConfig, config: TunerConfig, seed: int, folder: Path
) -> TrainerConfig:
    """Search, unless the search is off.

    Args:
        examples: What Transform wrote; must have a validation part.
        trainer: The configuration that the search starts from.
        config: How to search.
        seed: Of the search and of every trial.
        folder: Keras Tuner's own; an interrupted search over the same space goes on there.

    Returns:
        The configuration of the best trial; `trainer` itself where the search is off.

    Raises:
        TrainingError: no trial gave a finite score, or there is no validation part.
    """
    if not config.enabled:
        logger.info("the search is off: training takes its configuration as it is")
        return trainer
    if not len(examples.interactions("validation")):
        raise TrainingError("Tuning needs a validation part: set transform.split.validation_size above 0.")
    for name, values in config.space.items():
        for value in values:
            with_values(trainer, {name: value})
    split = SplitManifest.read(examples.folder).model_dump(mode="json")
    identity = json.dumps(
        [split, config.model_dump(mode="json"), trainer.model_dump(mode="json"), seed], sort_keys=True
    )
    hyperparameters = keras_tuner.HyperParameters()
    for name, values in config.space.items():
        hyperparameters.Choice(name, list(values))
    tuner = _Tuner(
        examples,
        trainer,
        config,
        seed,
        oracle=keras_tuner.oracles.RandomSearchOracle(
            objective=keras_tuner.Objective(OBJECTIVE, "max"),
            max_trials=config.max_trials,
            hyperparameters=hyperparameters,
            seed=seed,
        ),
        directory=str(folder),
        # A search resumes whatever it finds under its name, so another space needs another name.
        project_name=hashlib.sha256(identity.encode()).hexdigest()[:16],
    )
    try:
        tuner.search()
    except RuntimeError as error:  # Keras Tuner gives up after a few failures in a row
        raise TrainingError(f"Trials of the search failed, one after another: {error}") from error
    scored = [
        trial
        for trial in tuner.oracle.trials.values()
        if trial.score is not None and math.isfinite(trial.score)
    ]
    if not scored:
        raise TrainingError("Every trial of the search failed: the log of the Tuner step says why.")
    best = max(scored, key=lambda trial: float(trial.score))
    chosen = {name: best.hyperparameters.values[name] for name in config.space}
    logger.info("the best of %d trials: %s %.4f with %s", len(scored), OBJECTIVE, best.score, chosen)
    return with_values(trainer, chosen)
