"""Keras Tuner's oracles, which draw the configurations, made to survive a kill."""

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras_tuner

from recommender.training.tuning.configuration import TunerConfig
from recommender.training.tuning.space import hyperparameters

OBJECTIVE = "val_ndcg@10"
_DRAWS = 1000
"""How often the values of a trial are drawn anew because they do not go together."""
_FAILURES_IN_A_ROW = 10
"""After so many the search gives up."""

Accepts = Callable[[Mapping[str, Any]], bool]


class _Oracle(keras_tuner.Oracle):
    """What is the same for all of them; stands before Keras Tuner's own class."""

    trials: dict[str, Any]
    accepts: Accepts
    """Whether drawn values go together."""
    ends: float
    """When no further trial begins, by the clock that only goes forward."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Draw, as long as there is time."""
        if time.monotonic() > self.ends:
            return {"status": "STOPPED", "values": None}
        drawn: dict[str, Any] = super().populate_space(trial_id)
        return drawn

    def save(self) -> None:
        """Write the state of the search, whole: Keras Tuner writes in place."""
        _write_whole(Path(self._get_oracle_fname()), self.get_state())

    def _save_trial(self, trial: Any) -> None:
        _write_whole(Path(self._get_trial_dir(trial.trial_id)) / "trial.json", trial.get_state())

    def reload(self) -> None:
        """Go on where the search was."""
        super().reload()
        # A kill may have come between a new trial's file and the state that names it: it is drawn again.
        self.trials = {name: self.trials[name] for name in self.start_order}

    def _random_values(self) -> dict[str, Any] | None:
        for _ in range(_DRAWS):
            values: dict[str, Any] | None = super()._random_values()
            if values is None or self.accepts(values):
                return values
        return None


class _Random(_Oracle, keras_tuner.oracles.RandomSearchOracle):
    pass


class _Hyperband(_Oracle, keras_tuner.oracles.HyperbandOracle):
    pass


class _Bayesian(_Oracle, keras_tuner.oracles.BayesianOptimizationOracle):
    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Draw at random where what the Gaussian process wants does not go together, or was tried already."""
        wanted: dict[str, Any] = super().populate_space(trial_id)
        values = wanted["values"]
        if values is not None and (not self.accepts(values) or self._duplicate(values)):
            return self._random_populate_space()  # type: ignore[no-any-return]
        return wanted


def make_oracle(config: TunerConfig, seed: int, accepts: Accepts) -> keras_tuner.Oracle:
    """The oracle of a search.

    Args:
        config: How to search.
        seed: Of what is drawn.
        accepts: Whether drawn values go together; those that do not are never tried.
    """
    options = {
        "objective": keras_tuner.Objective(OBJECTIVE, "max"),
        "hyperparameters": hyperparameters(config),
        "seed": seed or 1,  # Keras Tuner takes 0 for no seed
        "max_consecutive_failed_trials": _FAILURES_IN_A_ROW,
    }
    oracle: _Oracle
    if config.algorithm == "hyperband":
        oracle = _Hyperband(max_epochs=config.epochs, factor=config.factor, **options)
    elif config.algorithm == "bayesian":
        oracle = _Bayesian(max_trials=config.max_trials, **options)
    else:
        oracle = _Random(max_trials=config.max_trials, **options)
    oracle.accepts = accepts
    oracle.ends = math.inf if config.minutes is None else time.monotonic() + 60 * config.minutes
    oracle.verbose = 0
    return oracle


def most_trials(oracle: keras_tuner.Oracle) -> int:
    """How many trials the search has, unless the space holds fewer or some fail."""
    if not isinstance(oracle, keras_tuner.oracles.HyperbandOracle):
        return int(oracle.max_trials)
    return sum(
        oracle._get_size(bracket, rung)
        for bracket in range(oracle._get_num_brackets())
        for rung in range(oracle._get_num_rounds(bracket))
    )


def _write_whole(file: Path, state: dict[str, Any]) -> None:
    beside = file.with_name(f".{file.name}")
    beside.write_text(json.dumps(state), encoding="utf-8")
    beside.replace(file)
