"""A fit that is killed and started again ends as if nothing had happened."""

import os
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
import numpy as np
from recommender.features.transformed_examples import TransformedExamples
from recommender.training.configuration import TrainerConfig
from recommender.training.fit import fit

folder, config, checkpoints, result = sys.argv[1:]
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
examples, config = TransformedExamples(Path(folder)), TrainerConfig.model_validate_json(config)
fitted = fit(examples, config, 3, checkpoints=Path(checkpoints))
np.savez(result, *fitted.two_tower.get_weights(), *fitted.ranking_head.get_weights())
"""


def fit_in_a_process(transformed, config, checkpoints, result, kill_at=None):
    """Returns what it printed until it ended, or until it was killed at a line that begins so."""
    arguments = [transformed.folder, config.model_dump_json(), checkpoints, result]
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
        if kill_at is not None and line.startswith(kill_at):
            process.kill()
    assert process.wait() == (0 if kill_at is None else -signal.SIGKILL), "".join(lines)
    return "".join(lines)


def test_a_killed_fit_ends_with_the_weights_of_one_that_was_not_killed(transformed, tmp_path):
    killed, again = tmp_path / "killed", tmp_path / "again.npz"
    fit_in_a_process(transformed, EVERYTHING, killed, again, kill_at="retrieval: epoch 3")
    fit_in_a_process(transformed, EVERYTHING, killed, again, kill_at="retrieval, on everything: epoch 1")
    fit_in_a_process(transformed, EVERYTHING, killed, again, kill_at="ranking, on everything: epoch 2")
    assert not again.exists()
    printed = fit_in_a_process(transformed, EVERYTHING, killed, again)
    assert "continuing after epoch" in printed
    assert "retrieval: epoch" not in printed  # That fit was finished.
    assert "ranking: epoch" not in printed
    whole = fit(transformed, EVERYTHING, 3)
    expected = [*whole.two_tower.get_weights(), *whole.ranking_head.get_weights()]
    with np.load(again) as arrays:
        for name, weights in zip(arrays.files, expected, strict=True):
            np.testing.assert_array_equal(arrays[name], weights)


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


def test_only_the_newest_checkpoint_stays_and_none_after_success(transformed, tmp_path):
    fit(transformed, QUICK, 3, checkpoints=tmp_path / "a fit")
    for task, newest in (("retrieval", "epoch-00004"), ("ranking", "epoch-00003")):
        assert [folder.name for folder in (tmp_path / "a fit" / task).iterdir()] == [newest]
    train(transformed, QUICK, 3, Tracking(), tmp_path / "model", tmp_path / "unfinished")
    assert list((tmp_path / "unfinished").iterdir()) == []


def test_another_configuration_seed_or_split_never_continues_the_same_run(transformed):
    one = identity(transformed, QUICK, 3)
    assert one == identity(transformed, TrainerConfig.model_validate_json(QUICK.model_dump_json()), 3)
    assert one != identity(transformed, QUICK.model_copy(update={"patience": 3}), 3)
    assert one != identity(transformed, QUICK, 4)


def test_a_damaged_checkpoint_is_named(transformed, tmp_path):
    fit(transformed, QUICK, 3, checkpoints=tmp_path)
    (tmp_path / "retrieval" / "epoch-00004" / BEST_WEIGHTS_FILE).write_bytes(b"not an archive")
    with pytest.raises(DataError, match=r"epoch-00004 cannot be used .*remove it"):
        fit(transformed, QUICK, 3, checkpoints=tmp_path)
