"""How a step of a run lives and ends."""

import os
import subprocess
import sys

from recommender.step import RUN_PROCESS

STEP = """
import time
from recommender.step import step
with step():
    print("begun", flush=True)
    time.sleep(600)
"""


def start_step(run: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", STEP],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, RUN_PROCESS: str(run)},
    )


def test_a_step_ends_with_the_process_of_its_run_however_that_ended():
    with subprocess.Popen(["sleep", "600"]) as run, start_step(run.pid) as step:
        assert step.stdout.readline() == "begun\n"
        assert step.poll() is None
        run.kill()
        assert step.wait(timeout=60) == 1


def test_a_step_whose_run_is_gone_does_not_begin():
    with subprocess.Popen(["true"]) as run:
        run.wait()
    with start_step(run.pid) as step:
        assert step.stdout.read() == ""
        assert step.wait(timeout=60) == 1
