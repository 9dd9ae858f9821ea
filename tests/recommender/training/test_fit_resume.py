"""A fit that is killed and started again ends as if nothing had happened."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recommender.errors import DataError
from recommender.features.configuration import InputConfig
from recommender.models.configuration import TwoTowerConfig, UserTowerConfig
from recommender.training.checkpoint import BEST_WEIGHTS_FILE, identity
from recommender.training.configuration import RankingTrainingConfig, Tracking, TrainerConfig
from recommender.training.fit import fit, train

REPOSITORY = Path(__file__).parents[3]

QUICK = TrainerConfig(
    epochs=4, batch_size=32, model=TwoTowerConfig(dimension=8), ranking=RankingTrainingConfig(epochs=3)
)
ONCE = QUICK.model_copy(update={"refit": False})
# Everything that has a state: dropout, batch statistics, a schedule, averaged weights, streamed input.
EVERYTHING = QUICK.model_copy(
    update={
        "schedule": "cosine",
        "warmup_epochs": 1.0,
        "weight_decay": 1e-3,
        "weight_average": 0.9,
        "input": InputConfig(mode="stream", chunk_ratings=700, shuffle_chunks=4),
        "model": TwoTowerConfig(dimension=8, user_tower=UserTowerConfig(id_dimension=8, hidden=(8,))),
    }
)

PROCESS = """
import logging, sys
from pathlib import Path
from recommender.features.transformed_examples import TransformedExamples
from recommender.training.configuration import TrainerConfig
from recommender.training.fit import fit

folder, config, checkpoints = sys.argv[1:]
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
examples, config = TransformedExamples(Path(folder)), TrainerConfig.model_validate_json(config)
fit(examples, config, 3, checkpoints=Path(checkpoints))
"""


def kill_a_fit(transformed, config, checkpoints, at):
    """Fit in a process of its own, which is killed at a line that begins so."""
    arguments = [transformed.folder, config.model_dump_json(), checkpoints]
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS, *map(str, arguments)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith(at):
            process.kill()
    assert process.wait() == -signal.SIGKILL, "".join(lines)


def test_a_killed_fit_ends_with_the_weights_of_one_that_was_not_killed(transformed, tmp_path, caplog):
    killed = tmp_path / "killed"
    for line in (
        "retrieval: epoch 3",
        "retrieval, on everything: epoch 1",
        "ranking, on everything: epoch 2",
    ):
        kill_a_fit(transformed, EVERYTHING, killed, at=line)
    with caplog.at_level("INFO", "recommender"):
        again = fit(transformed, EVERYTHING, 3, checkpoints=killed)
    assert "continuing after epoch" in caplog.text
    assert "retrieval: epoch" not in caplog.text  # That fit was finished.
    assert "ranking: epoch" not in caplog.text
    whole = fit(transformed, EVERYTHING, 3)
    for name in ("two_tower", "ranking_head"):
        for one, other in zip(
            getattr(again, name).get_weights(), getattr(whole, name).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(one, other)


def test_a_fit_that_ended_early_ends_with_the_same_weights_and_curves_again(transformed, tmp_path):
    # At this rate no epoch is better than the first.
    config = QUICK.model_copy(update={"epochs": 9, "patience": 2, "learning_rate": 1e-9, "refit": False})
    first = fit(transformed, config, 3, checkpoints=tmp_path)
    again = fit(transformed, config, 3, checkpoints=tmp_path)
    assert first.curves == again.curves
    assert first.epochs == again.epochs
    assert len(first.curves["retrieval"]["loss"]) < config.epochs
    for one, other in zip(first.two_tower.get_weights(), again.two_tower.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def finished(transformed, tmp_path_factory):
    """The checkpoints of a fit that ended."""
    folder = tmp_path_factory.mktemp("finished") / "a fit"
    fit(transformed, ONCE, 3, checkpoints=folder)
    return folder


def test_only_the_newest_checkpoint_stays(finished):
    for task, newest in (("retrieval", "epoch-00004"), ("ranking", "epoch-00003")):
        assert [folder.name for folder in (finished / task).iterdir()] == [newest]


def test_no_checkpoint_stays_after_success(transformed, finished, tmp_path):
    # Both fits are there already, and only the model has to be written.
    unfinished = tmp_path / "unfinished"
    shutil.copytree(finished, unfinished / identity(transformed, ONCE, 3))
    train(transformed, ONCE, 3, Tracking(), tmp_path / "model", unfinished)
    assert (tmp_path / "model" / "user_tower").is_dir()
    assert list(unfinished.iterdir()) == []


def test_another_configuration_seed_or_split_never_continues_the_same_run(transformed):
    one = identity(transformed, QUICK, 3)
    assert one == identity(transformed, TrainerConfig.model_validate_json(QUICK.model_dump_json()), 3)
    assert one != identity(transformed, QUICK.model_copy(update={"patience": 3}), 3)
    assert one != identity(transformed, QUICK, 4)


def test_a_damaged_checkpoint_is_named(transformed, finished, tmp_path):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    (tmp_path / "retrieval" / "epoch-00004" / BEST_WEIGHTS_FILE).write_bytes(b"not an archive")
    with pytest.raises(DataError, match=r"epoch-00004 cannot be used .*remove it"):
        fit(transformed, ONCE, 3, checkpoints=tmp_path)
