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

from pipelines.run_record import StepRecord, read_runs
from recommender.errors import MarqueeError
from recommender.release.live import live_version
from recommender.release.loaded import Release

logger = logging.getLogger("recommender.benchmarks.faults")

_LOOKS_S: Final = 0.005
"""Between two looks at what a run does."""
_BETWEEN: Final = "between two steps"


def runs_killed(folder: Path, config: Path, *, kills: int) -> dict[str, Any]:
    """Kill a run at moments drawn from the time that each step takes, then let it come to its end.

    The command and all its processes are killed together. What is live in between has to be nothing or a
    whole release, and what the run ends with has to be what an undisturbed run ended with, to the byte.

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
    killed_in: Counter[str] = Counter()
    for step in run.steps:
        for kill in range(kills):
            assert step.seconds is not None, "nothing came from a cache"
            killed_in[_killed(config, root, step, random.uniform(0, step.seconds))] += 1
            violations += [f"{step.name}, kill {kill + 1}: {found}" for found in _half_released(root)]
        logger.info("killed %d times, last in %s", killed_in.total(), step.name)
    _ran_to_its_end(config, root)
    release = Release.open_live(root / "releases").manifest
    differing = sorted(
        name
        for name in expected.files.keys() | release.files.keys()
        if expected.files.get(name) != release.files.get(name)
    )
    violations += [f"{name} of the release differs" for name in differing]
    if release.metrics != expected.metrics:
        violations.append(f"metrics: {release.metrics} instead of {expected.metrics}")
    return {
        "kills": killed_in.total(),
        "killed_in": dict(killed_in),
        "files_compared": len(expected.files),
        "violations": violations,
    }


def _command(config: Path, root: Path) -> list[str]:
    return [sys.executable, "-m", "pipelines", "run", "--config", str(config), "--root", str(root)]


def _ran_to_its_end(config: Path, root: Path) -> None:
    subprocess.run(_command(config, root), check=True, stdout=sys.stderr)


def _killed(config: Path, root: Path, step: StepRecord, seconds: float) -> str:
    """Start the run, kill it some time into a step, and say what it was at."""
    before = len(read_runs(root))
    with subprocess.Popen(
        _command(config, root), start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while process.poll() is None and not _has_begun(root, before, step.name):
            time.sleep(_LOOKS_S)
        time.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):  # it came to its end
            os.killpg(process.pid, signal.SIGKILL)
    return next((seen.name for seen in read_runs(root)[0].steps if seen.state == "interrupted"), _BETWEEN)


def _has_begun(root: Path, runs_before: int, name: str) -> bool:
    runs = read_runs(root)
    return len(runs) > runs_before and runs[0].step(name) is not None


def _half_released(root: Path) -> list[str]:
    if live_version(root / "releases") is None:
        return []
    try:
        Release.open_live(root / "releases")
    except MarqueeError as error:
        return [str(error)]
    return []
