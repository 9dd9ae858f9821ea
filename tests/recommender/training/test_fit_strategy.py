"""Training on several devices and by several processes: each its share, the same weights everywhere."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recommender.models.configuration import TwoTowerConfig
from recommender.training.configuration import RankingTrainingConfig, TrainerConfig

REPOSITORY = Path(__file__).parents[3]

WORKER = """
import logging, sys
from pathlib import Path
import recommender
import tensorflow as tf
from recommender.features.transformed_examples import TransformedExamples
from recommender.training.configuration import Tracking, TrainerConfig
from recommender.training.fit import fit, train
from recommender.training.strategy import make_strategy
import numpy as np

folder, config, output, unfinished = sys.argv[1:]
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
config = TrainerConfig.model_validate_json(config)
if config.strategy == "mirrored":
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
examples = TransformedExamples(Path(folder))
if config.model.loss == "full_softmax":
    fitted = train(examples, config, 3, Tracking(), Path(output), Path(unfinished))
else:
    fitted = fit(examples, config, 3, strategy=make_strategy(config))
loss = fitted.curves["retrieval"]["loss"]
np.savez(output + ".npz", *fitted.two_tower.get_weights(), loss=loss)
"""
"""Writes the model for one of the losses only: what is written is the same for all."""


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for one in sockets:
        one.bind(("localhost", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def start(transformed, config, output, tf_config=None):
    unfinished = output.parent / "unfinished"
    arguments = [str(transformed.folder), config.model_dump_json(), str(output), str(unfinished)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "PYTHONUNBUFFERED": "1"}
    if tf_config is not None:
        environment["TF_CONFIG"] = json.dumps(tf_config)
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, *arguments],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def loss_and_weights(file):
    with np.load(file) as arrays:
        return arrays["loss"], [arrays[name] for name in arrays.files if name != "loss"]


def start_both(transformed, config, folder):
    addresses = [f"localhost:{port}" for port in free_ports(2)]
    return [
        start(
            transformed,
            config,
            folder / str(index),
            {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}},
        )
        for index in range(2)
    ]


@pytest.mark.parametrize("loss", ["full_softmax", "in_batch_softmax"])
@pytest.mark.parametrize("strategy", ["mirrored", "multi_worker"])
def test_two_replicas_train_one_model_that_learns(strategy, loss, transformed, tmp_path):
    config = TrainerConfig(
        epochs=2,
        batch_size=16 if loss == "full_softmax" else 256,
        refit=False,
        strategy=strategy,
        model=TwoTowerConfig(dimension=8, loss=loss),
        ranking=RankingTrainingConfig(epochs=1),
    )
    if strategy == "mirrored":
        workers = [start(transformed, config, tmp_path / "0")]
    else:
        workers = start_both(transformed, config, tmp_path)
    for worker in workers:
        printed, _ = worker.communicate()
        assert worker.returncode == 0, printed
    # Only the first worker writes a model; all end with its weights.
    assert (tmp_path / "0").is_dir() == (loss == "full_softmax")
    assert not (tmp_path / "1").exists()
    loss_of_epochs, expected = loss_and_weights(tmp_path / "0.npz")
    assert loss_of_epochs[-1] < loss_of_epochs[0]
    for worker in range(1, len(workers)):
        _, weights = loss_and_weights(tmp_path / f"{worker}.npz")
        for one, other in zip(expected, weights, strict=True):
            np.testing.assert_array_equal(one, other)


def test_workers_that_are_killed_end_with_the_weights_of_those_that_were_not(transformed, tmp_path):
    config = TrainerConfig(
        epochs=4,
        batch_size=16,
        refit=False,
        strategy="multi_worker",
        model=TwoTowerConfig(dimension=8, loss="full_softmax"),
        ranking=RankingTrainingConfig(epochs=1),
    )
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    for folder in (killed, whole):
        folder.mkdir()
    first, second = start_both(transformed, config, killed)
    for line in first.stdout:
        if line.startswith("retrieval: epoch 3"):
            break
    second.kill()
    first.kill()
    for worker in (first, second):
        worker.communicate()
    for folder in (killed, whole):
        for worker in start_both(transformed, config, folder):
            printed, _ = worker.communicate()
            assert worker.returncode == 0, printed
            assert ("continuing after epoch" in printed) == (folder == killed)
    assert not list((killed / "unfinished").iterdir())
    (loss, weights), (expected_loss, expected) = (
        loss_and_weights(folder / "0.npz") for folder in (killed, whole)
    )
    np.testing.assert_array_equal(loss, expected_loss)
    for one, other in zip(weights, expected, strict=True):
        np.testing.assert_array_equal(one, other)
