"""A run of the pipeline killed by `kill -9` in each of its steps, and asked for again."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipelines.run_record import read_runs
from recommender.errors import MarqueeError
from recommender.release.live import live_version
from recommender.release.loaded import Release

logger = logging.getLogger("recommender.benchmarks.faults")

_LOOKS_S: Final = 0.005
"""Between two looks at what a run does."""
_NO_STEP: Final = "no step"
"""Where a kill hit that came between two steps, or after the last."""
_OBJECT_GRAPH: Final = "_CHECKPOINTABLE_OBJECT_GRAPH"
"""Beside the variables in a checkpoint: how Python's objects hang together."""
_TRIES: Final = 4
"""For each time that a step is to be killed: a short one may be over before."""


def runs_killed(folder: Path, config: Path, *, kills: int) -> dict[str, Any]:
    """Kill a run at moments drawn from the time that each step takes, then let it come to its end.

    The command and all its processes are killed together. What is live in between has to be nothing or a
    whole release, and what the run ends with has to be what an undisturbed run ended with: every file to the
    byte, but for TensorFlow's SavedModels, whose variables are compared by value. A Trainer that went on
    after a kill writes the same variables in other bytes.

    Args:
        folder: for both runs.
        config: what they do.
        kills: how often each step is killed.
    """
    whole, root = folder / "whole", folder / "killed"
    _ran_to_its_end(config, whole)
    expected = Release.open_live(whole / "releases").manifest
    (run,) = read_runs(whole)

    random = np.random.default_rng(1)
    violations: list[str] = []
    kills_in_all, killed_in = 0, Counter[str]()
    for step in run.steps:
        assert step.seconds is not None, "nothing came from a cache"
        command, seen, longest = _command(config, root), 0, step.seconds
        for _ in range(_TRIES * kills):
            at = _killed(command, root, step.name, random.uniform(0, longest))
            killed_in.update(at or [_NO_STEP])
            kills_in_all += 1
            violations += [f"killed in {at}: {found}" for found in _half_released(root)]
            seen += step.name in at
            if seen == kills:
                break
            if step.name not in at:  # too late, and the cache would answer next time
                command, longest = [*_command(config, root), "--from", step.name], longest / 2
        else:
            violations.append(f"{step.name} was killed {seen} times only")
        logger.info("killed %d times, last in %s", kills_in_all, step.name)
    _ran_to_its_end(config, root)
    release = Release.open_live(root / "releases").manifest
    names = sorted(name for name in expected.files.keys() | release.files.keys() if not _is_saved_model(name))
    differing = [name for name in names if expected.files.get(name) != release.files.get(name)]
    violations += [f"{name} of the release differs" for name in differing]
    violations += _differing_variables(
        whole / "releases" / expected.version, root / "releases" / release.version
    )
    if release.metrics != expected.metrics:
        violations.append(f"metrics: {release.metrics} instead of {expected.metrics}")
    return {
        "kills": kills_in_all,
        "killed_in": dict(killed_in),
        "files_compared": len(names),
        "violations": violations,
    }


def _command(config: Path, root: Path) -> list[str]:
    return [sys.executable, "-m", "pipelines", "run", "--config", str(config), "--root", str(root)]


def _ran_to_its_end(config: Path, root: Path) -> None:
    subprocess.run(_command(config, root), check=True, stdout=sys.stderr)


def _killed(command: list[str], root: Path, step: str, seconds: float) -> list[str]:
    """Start the run, kill it some time after a step began, and say which steps were under way."""
    before = len(read_runs(root))
    with subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while process.poll() is None and not _has_begun(root, before, step):
            time.sleep(_LOOKS_S)
        time.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):  # it came to its end
            os.killpg(process.pid, signal.SIGKILL)
    runs = read_runs(root)
    if len(runs) == before:  # it refused to begin, and the latest record is of the run before
        return []
    return [seen.name for seen in runs[0].steps if seen.state == "interrupted"]


def _has_begun(root: Path, runs_before: int, name: str) -> bool:
    runs = read_runs(root)
    return len(runs) > runs_before and runs[0].step(name) is not None


def _is_saved_model(name: str) -> bool:
    return name.endswith(".pb") or "/variables/" in name


def _differing_variables(expected: Path, found: Path) -> list[str]:
    """The variables of SavedModels that are not the same in two releases."""
    import tensorflow as tf

    differing = []
    for index in sorted(expected.glob("**/variables/variables.index")):
        name = index.relative_to(expected).with_suffix("")
        one, other = (tf.train.load_checkpoint(str(folder / name)) for folder in (expected, found))
        shapes = one.get_variable_to_shape_map()
        same = shapes == other.get_variable_to_shape_map() and all(
            np.array_equal(one.get_tensor(key), other.get_tensor(key))
            for key in shapes.keys() - {_OBJECT_GRAPH}
        )
        differing += [] if same else [f"{name} of the release holds other values"]
    return differing


def _half_released(root: Path) -> list[str]:
    if live_version(root / "releases") is None:
        return []
    try:
        Release.open_live(root / "releases")
    except MarqueeError as error:
        return [str(error)]
    return []
