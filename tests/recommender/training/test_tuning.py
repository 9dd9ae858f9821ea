"""The search of hyperparameters."""

import pytest

from recommender.errors import TrainingError
from recommender.models.configuration import TwoTowerConfig
from recommender.training.configuration import RankingTrainingConfig, TrainerConfig, TunerConfig
from recommender.training.tuning import tune, with_values

START = TrainerConfig(
    batch_size=32, model=TwoTowerConfig(dimension=8), ranking=RankingTrainingConfig(epochs=1)
)


def test_a_search_that_is_off_changes_nothing(transformed, tmp_path):
    assert tune(transformed, START, TunerConfig(enabled=False), 0, tmp_path) == START


def test_the_search_prefers_a_learning_rate_that_learns(transformed, tmp_path):
    config = TunerConfig(enabled=True, max_trials=2, epochs=3, space={"learning_rate": (1e-7, 0.03)})
    best = tune(transformed, START, config, seed=1, folder=tmp_path)
    assert best == START.model_copy(update={"learning_rate": 0.03})


def test_a_search_in_which_every_trial_fails_is_an_error(transformed, tmp_path):
    config = TunerConfig(enabled=True, max_trials=1, epochs=1, space={"model.temperature": (1e-42,)})
    with pytest.raises(TrainingError, match="failed"):
        tune(transformed, START, config, seed=1, folder=tmp_path)


def test_a_value_that_does_not_fit_is_named_before_any_trial(transformed, tmp_path):
    config = TunerConfig(enabled=True, space={"learning_rate": (0.01, -1.0)})
    with pytest.raises(TrainingError, match=r"tuner\.space: learning_rate: .*got -1\.0"):
        tune(transformed, START, config, seed=1, folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_unknown_field_is_named():
    with pytest.raises(TrainingError, match=r"tuner\.space\.model\.colour: the trainer has no such field"):
        with_values(START, {"model.colour": 1})
