"""Running the pipeline on this machine."""

import contextlib
import fcntl
import logging
import os
import shlex
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import psutil
from rich.console import Console

from pipelines.config import PipelineConfig
from pipelines.movielens import STEPS, movielens_pipeline
from pipelines.progress import RunProgress
from recommender.errors import MarqueeError

_PATIENCE_S = 5.0
"""How long a step may take to end when the run is interrupted."""


def run_pipeline(config: PipelineConfig, root: Path, console: Console, until: str = "Pusher") -> Path:
    """Run every step up to the last one asked for, unless the cache can answer it.

    Args:
        config: What the steps do.
        root: Downloads, artifacts, logs, tracking and releases live here.
        console: Where progress goes.
        until: The last step.

    Returns:
        What the last step made; a whole run's is a folder with a `Pushed`.

    Raises:
        MarqueeError: a step failed; names the step, the reason and the log.
    """
    from kfp import local

    root = root.resolve()
    log_file = root / "logs" / f"{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with _only_run(root), log_file.open("w", encoding="utf-8") as log, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline = movielens_pipeline(config, root, until)
        local.init(
            runner=local.SubprocessRunner(use_venv=False),
            pipeline_root=str(root / "artifacts"),
            enable_caching=True,
        )
        # A console of its own on the real standard output, which is about to be redirected.
        steps = tuple(STEPS)[: tuple(STEPS).index(until) + 1]
        progress = RunProgress(steps, Console(file=console.file), log)
        try:
            with (
                contextlib.redirect_stdout(progress),
                _logged_to(progress),
                _interpreter_as_shell_word(),
                _no_step_left_behind(),
            ):
                task = pipeline()
        except RuntimeError as error:
            raise MarqueeError(_explain(progress, error, log_file)) from error
        finally:
            progress.stop()
        return Path(task.output.path)


def _explain(progress: RunProgress, error: RuntimeError, log_file: Path) -> str:
    step = progress.failed_step or "The pipeline"
    reason = progress.failure or progress.last_line or str(error)
    return f"{step} failed: {reason}\nEverything that was printed is in {log_file}"


@contextlib.contextmanager
def _no_step_left_behind() -> Iterator[None]:
    """End the running step with the run: `kfp.local` leaves it running where only this process is stopped.

    SIGTERM, as service managers send it, then means what Ctrl-C means.
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        children = psutil.Process().children(recursive=True)
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.terminate()
        _, alive = psutil.wait_procs(children, timeout=_PATIENCE_S)
        for child in alive:
            child.kill()


@contextlib.contextmanager
def _only_run(root: Path) -> Iterator[None]:
    """Hold the root for this run: two at once would race for the same release. A killed run holds nothing."""
    with (root / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise MarqueeError(
                f"Another run is using {root}. Wait for it to end, or give another folder with --root."
            ) from error
        yield


@contextlib.contextmanager
def _logged_to(progress: RunProgress) -> Iterator[None]:
    """Show what `kfp.local` logs between steps, such as what the cache answered."""
    root = logging.getLogger()
    handler, level = logging.StreamHandler(progress), root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.setLevel(level)
        root.removeHandler(handler)


@contextlib.contextmanager
def _interpreter_as_shell_word() -> Iterator[None]:
    """Let a path with spaces survive: `kfp.local` pastes `sys.executable` into a shell script unquoted."""
    plain = sys.executable
    sys.executable = shlex.quote(plain)
    try:
        yield
    finally:
        sys.executable = plain
