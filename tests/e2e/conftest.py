"""The `marquee` command as a person runs it, and one whole run that the tests share."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.cli import main

SMALL = (
    "trainer.epochs=6",
    "trainer.batch_size=32",
    "trainer.model.dimension=16",
    "trainer.ranking.epochs=2",
    "evaluator.minimum_over={}",
)
"""Overrides under which the made-up ratings are trained on in seconds."""


def run_marquee(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `marquee` in a process of its own and wait for it."""
    command = [sys.executable, "-m", "pipelines", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def run_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`run_marquee` in this process, for what is refused or answered at once."""

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = ["marquee", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", command)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return subprocess.CompletedProcess(command, int(ended.value.code or 0), said.out, said.err)

    return run


def small_words(root: Path, ratings: Path, *overrides: str) -> list[str]:
    """What a command is told to work on a folder of ratings."""
    settings = ["example_gen.source=directory", f"example_gen.path={ratings}", *SMALL, *overrides]
    words = [word for setting in settings for word in ("--set", setting)]
    return ["--config", "ml-100k", "--root", str(root), *words]


def run_small(root: Path, ratings: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    """Run the pipeline on a folder of ratings."""
    return run_marquee("run", *small_words(root, ratings, *overrides))


def start_small(root: Path, ratings: Path) -> subprocess.Popen[str]:
    """Start the pipeline on a folder of ratings in a process group of its own, as a shell does."""
    # Tests that run in the background ignore Ctrl-C, and what they start would inherit that.
    heeding = ("env", "--default-signal=INT")
    return subprocess.Popen(
        [*heeding, sys.executable, "-m", "pipelines", "run", *small_words(root, ratings)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


@pytest.fixture(scope="session")
def root(ratings_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where one whole run on the made-up ratings has left everything."""
    folder = tmp_path_factory.mktemp("a root") / "with spaces"
    done = run_small(folder, ratings_folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder
