"""The search of hyperparameters."""

import json
import os
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from recommender.errors import TrainingError
from recommender.models.configuration import TwoTowerConfig
from recommender.training.configuration import TrainerConfig
from recommender.training.tuning.configuration import Range, TunerConfig
from recommender.training.tuning.search import Search, tune

START = TrainerConfig(epochs=1, learning_rate=1e-9, batch_size=64, model=TwoTowerConfig(dimension=8))
LEARNING_RATES = {"learning_rate": Range(min=1e-6, max=0.03, log=True)}


AT_RANDOM = {"algorithm": "random", "max_trials": 4, "epochs": 1, "space": LEARNING_RATES}


@pytest.fixture
def search(transformed, tmp_path):
    """Makes searches over the made-up ratings, all in one folder."""

    def make(**config) -> Search:
        return Search(transformed.folder, START, TunerConfig(enabled=True, **config), 1, tmp_path / "trials")

    return make


@pytest.fixture(scope="module")
def uninterrupted(transformed, tmp_path_factory):
    """What a search at random gives, by one process that nobody stops: the configuration, and its trials."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    return tune(Search(transformed.folder, START, TunerConfig(enabled=True, **AT_RANDOM), 1, folder))


def test_a_random_search_prefers_the_learning_rate_that_learns(search):
    best, trials = tune(search(algorithm="random", epochs=3, space={"learning_rate": (1e-7, 0.03)}))
    assert best == START.model_copy(update={"learning_rate": 0.03, "epochs": 3})
    assert [trial.values["learning_rate"] for trial in trials.ranked()] == [0.03, 1e-7]


def test_hyperband_gives_early_trials_few_epochs_and_goes_on_with_the_best(search):
    best, trials = tune(search(epochs=2, factor=2, space=LEARNING_RATES))
    # Two brackets: ceil(2 / 2 * 2) = 2 trials of one epoch, the better of which goes on to 2, then 2 of 2.
    assert [trial.epochs for trial in trials.trials] == [1, 1, 2, 2, 2]
    first, second, goes_on = trials.trials[:3]
    better = max(first, second, key=lambda trial: trial.score)
    assert (goes_on.continues, goes_on.values) == (better.name, better.values)
    assert best.learning_rate == trials.ranked()[0].values["learning_rate"]
    assert best.epochs == trials.ranked()[0].epochs


def test_bayesian_optimisation_draws_each_configuration_once(search):
    space = {"learning_rate": (1e-5, 1e-3, 0.03)}
    best, trials = tune(search(algorithm="bayesian", max_trials=9, epochs=1, space=space))
    assert sorted(trial.values["learning_rate"] for trial in trials.trials) == [1e-5, 1e-3, 0.03]
    assert best.learning_rate == trials.ranked()[0].values["learning_rate"]


def test_values_that_do_not_go_together_are_never_tried(search):
    # Without id, history and features a user tower has nothing to look at.
    space = {"model.user_tower.use_id": (False, True), "model.user_tower.use_history": (False, True)}
    _, trials = tune(search(algorithm="random", epochs=1, space=space))
    assert {tuple(trial.values.values()) for trial in trials.trials} == {
        (False, True), (True, False), (True, True)
    }  # fmt: skip
    assert {trial.status for trial in trials.trials} == {"completed"}


def test_a_search_in_which_every_trial_fails_is_an_error(search, caplog):
    with pytest.raises(TrainingError, match="Every trial of the search failed"):
        tune(search(algorithm="random", epochs=1, space={"model.temperature": (1e-42, 1e-41)}))
    assert "trial 2 failed with model.temperature 1e-41" in caplog.text or (
        "trial 2 failed with model.temperature 1e-42" in caplog.text
    )


def test_the_configuration_that_a_search_starts_from_is_kept_where_no_trial_is_better(search):
    best, trials = tune(search(algorithm="random", epochs=1, space={"learning_rate": (1e-9,)}))
    # The same learning rate and the same epochs: the only trial is as good, and not better.
    assert trials.trials[0].score == trials.start.score
    assert not trials.better_than_start
    assert best == START


def test_no_trial_begins_when_the_time_is_over_and_the_search_goes_on_with_more(search):
    config = AT_RANDOM | {"max_trials": 1}
    with pytest.raises(TrainingError, match=r"No trial .* tuner\.minutes"):
        tune(search(minutes=1e-9, **config))
    _, trials = tune(search(minutes=60.0, **config))
    assert len(trials.trials) == 1


def test_two_workers_share_the_trials_of_one_search(search, uninterrupted):
    best, trials = uninterrupted
    best_of_two, trials_of_two = tune(search(workers=2, **AT_RANDOM))
    assert best_of_two == best
    by_value = {trial.values["learning_rate"]: trial.score for trial in trials.trials}
    assert {trial.values["learning_rate"]: trial.score for trial in trials_of_two.trials} == {
        value: pytest.approx(score, rel=1e-6) for value, score in by_value.items()
    }


SEARCH = """
import logging, sys
from pathlib import Path
from recommender.training.configuration import TrainerConfig
from recommender.training.tuning.configuration import TunerConfig
from recommender.training.tuning.search import Search, tune

logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
examples, trainer, config, folder = sys.argv[1:]
trainer, config = TrainerConfig.model_validate_json(trainer), TunerConfig.model_validate_json(config)
if __name__ == "__main__":
    tune(Search(Path(examples), trainer, config, 1, Path(folder)))
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_search_goes_on_where_it_was(search, uninterrupted, tmp_path, workers):
    wanted = search(workers=workers, **AT_RANDOM)
    script = tmp_path / "search.py"
    script.write_text(SEARCH)
    arguments = [wanted.trainer.model_dump_json(), wanted.config.model_dump_json()]
    with subprocess.Popen(
        [sys.executable, script, wanted.examples, *arguments, wanted.folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "PYTHONUNBUFFERED": "1"},
    ) as process:
        scored = (line for line in process.stdout if "val_ndcg@10" in line and "trial " in line)
        # Who has scored a second trial has kept the first, and of two workers one has at the third.
        list(islice(scored, 3))
        process.send_signal(signal.SIGKILL)
        process.stdout.read()  # ends when the workers have ended too
    finished = {
        file.parent.name: file.read_text()
        for file in (wanted.folder / wanted.project).glob("trial_*/trial.json")
        if json.loads(file.read_text())["status"] == "COMPLETED"
    }
    assert finished
    # Whoever goes on may do so alone.
    best, trials = tune(search(**AT_RANDOM))
    assert len(trials.trials) == 4
    for name, before in finished.items():
        assert (wanted.folder / wanted.project / name / "trial.json").read_text() == before
    expected, all_trials = uninterrupted
    assert best == expected
    assert [trial.values for trial in trials.trials] == [trial.values for trial in all_trials.trials]
