"""Searching hyperparameters with Keras Tuner, judged by validation NDCG@10."""

import contextlib
import fcntl
import hashlib
import logging
import math
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_tuner.engine.base_tuner import BaseTuner

from recommender.errors import TrainingError
from recommender.features.transformed_examples import TransformedExamples
from recommender.training.checkpoint import identity
from recommender.training.configuration import TrainerConfig
from recommender.training.fit import seed_everything
from recommender.training.fit_retrieval import fit_retrieval
from recommender.training.tuning.configuration import TunerConfig, Value
from recommender.training.tuning.oracles import OBJECTIVE, make_oracle, most_trials
from recommender.training.tuning.space import accepts, check_space, chosen_values, set_values, with_values
from recommender.training.tuning.trials import Trial, Trials, shown

logger = logging.getLogger(__name__)

_IDLE_S = 0.2
"""How long a worker waits for others, before it asks again for a trial."""


@dataclass(frozen=True)
class Search:
    """All that a search depends on.

    Attributes:
        examples: The folder that Transform wrote.
        trainer: The configuration that the search starts from.
        config: How to search.
        seed: Of the search and of every trial.
        folder: Keras Tuner's own; an interrupted search over the same space goes on there.
    """

    examples: Path
    trainer: TrainerConfig
    config: TunerConfig
    seed: int
    folder: Path

    @property
    def project(self) -> str:
        """The folder's own folder for this search: Keras Tuner goes on with whatever it finds in one."""
        config = self.config.model_copy(update={"enabled": True, "workers": 1, "minutes": None})
        of_a_trial = identity(TransformedExamples(self.examples), self.trainer, self.seed)
        return hashlib.sha256(f"{of_a_trial}\n{config.model_dump_json()}".encode()).hexdigest()[:16]


class Tuner(BaseTuner):
    """Runs trials, each a fit of a whole configuration: Keras Tuner's own accepts Keras 3 models only."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._examples = TransformedExamples(search.examples)
        self._waiting = False
        oracle = make_oracle(
            search.config,
            search.seed,
            lambda drawn: accepts(search.trainer, chosen_values(drawn, search.config)),
        )
        self._most_trials = most_trials(oracle)
        super().__init__(oracle=oracle, directory=str(search.folder), project_name=search.project)

    def run_trial(self, trial: Any, *_: Any, **__: Any) -> dict[str, float]:
        """Fit once and report the best validation NDCG@10.

        A trial that was killed goes on after its last epoch. One that Hyperband gives more epochs is fitted
        anew, because schedules and early stopping depend on how many there are.
        """
        drawn = trial.hyperparameters.values
        values = chosen_values(drawn, self._search.config)
        epochs = int(drawn.get("tuner/epochs", self._search.config.epochs))
        words = _words(values)
        number = _number(trial.trial_id)
        logger.info(
            "trial %s of at most %d: at most %d epochs with %s", number, self._most_trials, epochs, words
        )
        checkpoints = Path(self.get_trial_dir(trial.trial_id)) / "checkpoints"
        try:
            config = with_values(self._search.trainer, {**values, "epochs": epochs})
            score, seconds = _score(self._examples, config, self._search.seed, checkpoints)
        except Exception as error:
            logger.warning("trial %s failed with %s: %s", number, words, error)
            raise
        shutil.rmtree(checkpoints, ignore_errors=True)
        logger.info("trial %s: %s %.4f after %.0f s", number, OBJECTIVE, score, seconds)
        return {OBJECTIVE: score, "seconds": seconds}

    def pre_create_trial(self) -> None:
        """Wait a little where there was no trial to run, because others have to end first."""
        if self._waiting:
            time.sleep(_IDLE_S)
        self._waiting = True

    def on_trial_begin(self, trial: Any) -> None:
        """Remember that there was one."""
        self._waiting = False

    def _get_tuner_fname(self) -> str:
        # The oracle's file is all there is to go on from.
        return str(Path(self.project_dir) / "oracle.json")

    def save(self) -> None:
        """Write the state of the search, which is the oracle's alone."""
        if not self._is_worker():
            self.oracle.save()

    def reload(self) -> None:
        """Read it."""
        if not self._is_worker():
            self.oracle.reload()


def tune(search: Search) -> tuple[TrainerConfig, Trials]:
    """Search, then fit the configuration that the search started from, to compare with.

    Returns:
        The configuration of the best trial with the epochs that it had, so that the Trainer gets from it what
        the search saw, or the one that the search started from, where no trial was better; and all trials.

    Raises:
        TrainingError: no trial was begun, or none gave a finite score, there is no validation part, the space
            does not fit the trainer, or another process goes on with the same search.
    """
    if not len(TransformedExamples(search.examples).interactions("validation")):
        raise TrainingError("Tuning needs a validation part: set transform.split.validation_size above 0.")
    check_space(search.trainer, search.config)
    with _only_search(search.folder / search.project):
        tuner = Tuner(search)
        if done := len(tuner.oracle.end_order):
            logger.info("going on after %d trials", done)
        if search.config.workers > 1:
            from recommender.training.tuning.workers import run_workers

            run_workers(search, tuner)
        else:
            try:
                tuner.search()
            except RuntimeError as error:  # Keras Tuner gives up after many failures in a row
                raise TrainingError(f"Trials of the search failed, one after another: {error}") from error
        tried = tuple(_record(trial, search.config) for trial in tuner.oracle.trials.values())
        if not tried:
            raise TrainingError("No trial began in the time that the search had: raise tuner.minutes.")
        if all(trial.score is None for trial in tried):
            raise TrainingError("Every trial of the search failed: the log of the Tuner step says why.")
        start = _start(search)
    trials = Trials(
        algorithm=search.config.algorithm, names=tuple(search.config.space), trials=tried, start=start
    )
    best = trials.ranked()[0]
    logger.info(
        "the best of %d trials: %s %.4f with %s; as the trainer was configured: %s",
        len(tried),
        OBJECTIVE,
        best.score,
        _words(best.values),
        "failed" if start.score is None else f"{start.score:.4f}",
    )
    if not trials.better_than_start:
        return search.trainer, trials
    return with_values(search.trainer, {**best.values, "epochs": best.epochs}), trials


def _start(search: Search) -> Trial:
    """What the configuration gives that the search started from, with as many epochs as it has."""
    score = seconds = None
    try:
        score, seconds = _score(
            TransformedExamples(search.examples),
            search.trainer,
            search.seed,
            search.folder / search.project / "start",
        )
    except TrainingError as error:
        logger.warning("the configuration that the search started from failed: %s", error)
    return Trial(
        name="start",
        status="failed" if score is None else "completed",
        score=score,
        epochs=search.trainer.epochs,
        seconds=seconds,
        continues=None,
        values=set_values(search.trainer, search.config),
    )


def _score(
    examples: TransformedExamples, config: TrainerConfig, seed: int, checkpoints: Path
) -> tuple[float, float]:
    """The best validation NDCG@10 of the towers, and the seconds until it was known.

    What is fitted after the towers has no part in the objective, and is left out.
    """
    began = time.perf_counter()
    seed_everything(seed)
    train = examples.interactions("train").known()
    validation = examples.interactions("validation").known()
    fitted = fit_retrieval(
        examples, config, seed, ("train",), train, validation, config.epochs, [], checkpoints=checkpoints
    )
    return fitted.curves[OBJECTIVE][fitted.epochs - 1], time.perf_counter() - began


def _number(trial_id: str) -> str:
    """What people call the trial that Keras Tuner calls 0007: 8."""
    return str(int(trial_id) + 1)


def _words(values: Mapping[str, Value]) -> str:
    return ", ".join(f"{name} {shown(value)}" for name, value in values.items())


def _record(trial: Any, config: TunerConfig) -> Trial:
    drawn = trial.hyperparameters.values
    scored = trial.score is not None and math.isfinite(trial.score)
    return Trial(
        name=_number(trial.trial_id),
        status="completed" if scored else "failed",
        score=float(trial.score) if scored else None,
        epochs=int(drawn.get("tuner/epochs", config.epochs)),
        seconds=float(trial.metrics.get_best_value("seconds")) if scored else None,
        continues=_number(drawn["tuner/trial_id"]) if "tuner/trial_id" in drawn else None,
        values=chosen_values(drawn, config),
    )


@contextlib.contextmanager
def _only_search(folder: Path) -> Iterator[None]:
    """Hold the search's folder: two processes would overwrite each other's. A killed one holds nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TrainingError(
                f"Another process goes on with this search in {folder}: wait for it to end, or end it."
            ) from error
        yield
