"""Retraining every night: its configuration, and the files that schedule it."""

import re
import shlex
from pathlib import Path

import yaml
from click import Context
from typer.main import get_command

from pipelines.cli import app
from pipelines.config import read_config

CRON = Path(__file__).parents[2] / "deploy" / "cron"


def test_nobody_has_to_look_on():
    config = read_config(Path("nightly"))
    assert config.example_gen.collected == "sqlite:///var/ratings.db"
    assert config.validation.quarantine
    assert config.validation.drift.is_error
    assert config.evaluator.not_worse_than_live


def test_what_is_trained_is_what_the_shipped_configuration_trains():
    nightly, usual = read_config(Path("nightly")), read_config(Path("ml-100k"))
    assert (nightly.trainer, nightly.transform) == (usual.trainer, usual.transform)


def understood(command: str) -> list[str]:
    """The names of a command line of `marquee`, after its options were read as the command reads them."""
    words, group, names = shlex.split(command), get_command(app), []
    while hasattr(group, "commands"):
        names.append(words.pop(0))
        group = group.commands[names[-1]]
    group.make_context(names[-1], words, parent=Context(group))
    return names


def test_the_scheduled_commands_are_ones_that_marquee_knows():
    crontab = (CRON / "marquee.cron").read_text(encoding="utf-8").splitlines()[-1]
    commands = re.findall(r"/marquee ([^&]+)", crontab)
    assert [understood(command) for command in commands] == [["run"], ["releases", "prune"]]
    workflow = yaml.safe_load((CRON / "cron-workflow.yaml").read_text(encoding="utf-8"))
    nightly, marquee = workflow["spec"]["workflowSpec"]["templates"]
    steps = [step["arguments"]["parameters"][0]["value"] for (step,) in nightly["steps"]]
    assert [understood(command) for command in steps] == [["run"], ["releases", "prune"]]
    assert {step["template"] for (step,) in nightly["steps"]} == {marquee["name"]}
    volumes = {volume["name"] for volume in workflow["spec"]["workflowSpec"]["volumes"]}
    assert {mount["name"] for mount in marquee["container"]["volumeMounts"]} <= volumes
    assert workflow["spec"]["concurrencyPolicy"] == "Forbid"
