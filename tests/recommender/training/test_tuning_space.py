"""What a search may set, how it is written down, and what is drawn from it."""

from typing import get_args

import keras_tuner
import pytest
from pydantic import ValidationError

from recommender.errors import TrainingError
from recommender.models.configuration import RetrievalLoss
from recommender.training.configuration import TrainerConfig
from recommender.training.tuning.configuration import Choices, Range, TunerConfig
from recommender.training.tuning.oracles import make_oracle, most_trials
from recommender.training.tuning.space import accepts, check_space, chosen_values, set_values, with_values

START = TrainerConfig()


def draw(config: TunerConfig, n: int, folder) -> list[dict]:
    oracle = make_oracle(config, 1, lambda drawn: accepts(START, chosen_values(drawn, config)))
    oracle._set_project_dir(str(folder), "draws")
    trials = [oracle.create_trial(f"worker {number}") for number in range(n)]
    return [chosen_values(trial.hyperparameters.values, config) for trial in trials]


def space(**written) -> TunerConfig:
    return TunerConfig.from_mapping({"algorithm": "random", "max_trials": 100, "space": written})


def test_the_plan_s_space_fits_the_trainer_and_survives_json():
    config = TunerConfig()
    check_space(START, config)
    assert TunerConfig.model_validate_json(config.model_dump_json()) == config


def test_the_default_space_has_every_loss_with_what_it_needs_and_nothing_else(tmp_path):
    drawn = draw(TunerConfig(algorithm="random", max_trials=100), 100, tmp_path)
    assert {values["model.loss"] for values in drawn} == set(get_args(RetrievalLoss))
    for values in drawn:
        loss, history = values["model.loss"], values["model.user_tower.use_history"]
        of_users = loss in ("full_softmax", "reconstruction")
        assert ("model.temperature" in values) == (loss != "reconstruction")
        assert ("model.negatives" in values) == (loss in ("sampled_softmax", "bpr"))
        assert values["batch_size"] in ((64, 128, 256, 512, 1024) if of_users else (256, 512, 1024, 4096))
        assert 1e-4 <= values["learning_rate"] <= (2e-2 if loss == "reconstruction" else 1e-2)
        assert history or values["model.user_tower.use_id"]
        assert ("model.user_tower.history_dropout" in values) == history
        assert ("model.user_tower.share_movie_embedding" in values) == history
        assert ("model.*_tower.dropout" in values) == (values["model.*_tower.hidden"] != ())


def test_what_a_configuration_has_is_said_in_the_words_of_the_space():
    model = {"loss": "bpr", "temperature": 0.3, "user_tower": {"hidden": [64], "dropout": 0.3}}
    config = TrainerConfig.from_mapping({"batch_size": 100, "learning_rate": 0.004, "model": model})
    written = {
        "model.loss": ["bpr", "reconstruction"],
        "model.negatives": {"choices": [64], "when": {"model.loss": ["bpr"]}},
        "learning_rate": [
            {"min": 0.1, "max": 1.0, "when": {"model.loss": ["reconstruction"]}},
            {"min": 0.1, "max": 0.2, "when": {"model.loss": ["bpr"]}},
        ],
        "weight_decay": {"min": 0.1, "max": 0.2, "when": {"model.loss": ["reconstruction"]}},
        "model.user_tower.hidden": [[], [128]],
        "model.*_tower.dropout": [0.1],
    }
    assert set_values(config, space(**written)) == {
        "model.loss": "bpr", "model.negatives": 256, "learning_rate": 0.004, "model.user_tower.hidden": (64,)
    }  # fmt: skip


def test_a_space_reads_as_lists_and_ranges():
    written = {"batch_size": [64, 128], "learning_rate": {"min": 1e-4, "max": 1e-2, "log": True}}
    assert space(**written).dimensions == {
        "batch_size": (Choices(choices=(64, 128)),),
        "learning_rate": (Range(min=1e-4, max=1e-2, log=True),),
    }


def test_draws_stay_in_their_ranges_and_on_their_steps(tmp_path):
    written = {
        "learning_rate": {"min": 1e-4, "max": 1e-2, "log": True},
        "batch_size": {"min": 64, "max": 256, "step": 64},
        "model.user_tower.history_dropout": {"min": 0.1, "max": 0.4, "step": 0.1},
    }
    drawn = draw(space(**written), 60, tmp_path)
    rates = [values["learning_rate"] for values in drawn]
    assert all(1e-4 <= rate <= 1e-2 for rate in rates)
    # Half of the numbers drawn by magnitude lie below the geometric mean: binomial, 60 draws, 4 deviations.
    assert abs(sum(rate < 1e-3 for rate in rates) - 30) <= 4 * (60 * 0.5 * 0.5) ** 0.5
    assert {values["batch_size"] for values in drawn} == {64, 128, 192, 256}
    assert {values["model.user_tower.history_dropout"] for values in drawn} == {0.1, 0.2, 0.3, 0.4}


def test_a_field_is_searched_only_where_another_takes_the_values_it_depends_on(tmp_path):
    written = {
        "model.loss": ["full_softmax", "in_batch_softmax"],
        "batch_size": [
            {"choices": [64, 128], "when": {"model.loss": ["full_softmax"]}},
            {"choices": [512, 1024], "when": {"model.loss": ["in_batch_softmax"]}},
        ],
        "model.*_tower.hidden": [[], [128]],
        "model.*_tower.dropout": {"min": 0.1, "max": 0.4, "when": {"model.*_tower.hidden": [[128]]}},
    }
    drawn = draw(space(**written), 60, tmp_path)
    assert {(values["model.loss"], values["batch_size"]) for values in drawn} == {
        ("full_softmax", 64), ("full_softmax", 128), ("in_batch_softmax", 512), ("in_batch_softmax", 1024)
    }  # fmt: skip
    for values in drawn:
        assert ("model.*_tower.dropout" in values) == (values["model.*_tower.hidden"] == (128,))


def test_a_star_sets_the_same_for_both_towers():
    config = with_values(START, {"model.*_tower.hidden": (256,)})
    assert config.model.user_tower.hidden == config.model.movie_tower.hidden == (256,)


def test_what_goes_together_only_with_other_values_is_no_mistake_in_the_space():
    config = space(**{"model.user_tower.use_history": [False], "model.user_tower.use_id": [True]})
    check_space(START, config)
    assert not accepts(START, {"model.user_tower.use_history": False})
    assert accepts(START, {"model.user_tower.use_history": False, "model.user_tower.use_id": True})


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"learning_rate": [0.01, -1.0]}, r"tuner\.space: learning_rate: .*greater than 0, got -1\.0"),
        ({"batch_size": {"min": 0.5, "max": 2.5}}, r"tuner\.space: batch_size: .*integer.*got 0\.5"),
        ({"model.user_tower.hidden": [[64], "wide"]}, r"model\.user_tower\.hidden: .*got 'wide'"),
        ({"model.colour": [1]}, r"tuner\.space\.model\.colour: the trainer has no such field"),
    ],
)
def test_a_value_that_does_not_fit_its_field_is_named(written, message):
    try:
        config = space(**written)
    except ValidationError as error:
        pytest.fail(str(error))
    with pytest.raises(TrainingError, match=message):
        check_space(START, config)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"epochs": {"min": 3, "max": 3}}, r"min \(3\) must be below max \(3\)"),
        ({"learning_rate": {"min": 0.0, "max": 1.0, "log": True}}, "needs a min above 0"),
        ({"epochs": {"min": 1, "max": 8, "log": True, "step": 1}}, "step must be above 1"),
        ({"epochs": []}, "at least 1 item"),
        ({"epochs": {"choices": [1], "when": {"batch_size": [1]}}}, r"when\.batch_size must be a list"),
        ({"a": ["x"], "b": {"choices": [1], "when": {"a": ["y"]}}}, r"when\.a: 'y' is no choice of it"),
    ],
)
def test_a_space_that_says_nothing_is_refused(written, message):
    with pytest.raises(ValidationError, match=message):
        space(**written)


def test_hyperband_says_how_many_trials_it_has():
    oracle = make_oracle(TunerConfig(epochs=9, factor=3), 1, lambda drawn: True)
    assert isinstance(oracle, keras_tuner.oracles.HyperbandOracle)
    # Three brackets: 9 + 3 + 1, then ceil(3 / 2 * 3) = 5 and ceil(3 / 2) = 2, then 3.
    assert most_trials(oracle) == 9 + 3 + 1 + 5 + 2 + 3
