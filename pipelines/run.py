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
from typing import Final

import psutil
from rich.console import Console

from pipelines.config import PipelineConfig
from pipelines.movielens import STEPS, movielens_pipeline
from pipelines.progress import RunProgress
from pipelines.run_account import RunAccount
from recommender.errors import MarqueeError
from recommender.step import RUN_PROCESS

LOCK: Final = ".lock"
"""Held, below the root, by the run that is going on there."""
_PATIENCE_S: Final = 5.0
"""How long a step may take to end when the run is interrupted."""


def run_pipeline(
    config: PipelineConfig,
    root: Path,
    console: Console,
    until: str = "Pusher",
    *,
    start: str | None = None,
    force: bool = False,
) -> Path:
    """Run every step up to the last one asked for, unless the cache can answer it.

    What it was asked, what each step does and what comes of it is kept in `runs/` as it goes on.

    Args:
        config: What the steps do.
        root: Downloads, artifacts, logs, tracking and releases live here.
        console: Where progress goes.
        until: The last step.
        start: The first step that runs: those before it are answered from the cache or nothing is done, and
            it and those after it run whatever the cache has.
        force: Release the model even where it is not blessed.

    Returns:
        What the last step made; a whole run's is a folder with a `Pushed`.

    Raises:
        MarqueeError: a step failed; names the step, the reason and the log. Or a step before `start` cannot
            be answered from the cache.
    """
    from kfp import local

    root = root.resolve()
    # Both name the record and the log of this run.
    run_id = f"{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}"
    log_file = root / "logs" / f"{run_id}.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with _only_run(root), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline = movielens_pipeline(config, root, until, force=force)
        steps = tuple(STEPS)[: tuple(STEPS).index(until) + 1]
        account = RunAccount(root, pipeline, steps)
        if start is not None:
            account.forget_from(start)
        account.begin(
            run_id,
            config,
            {"until": until, "start": start, "force": force},
            log_file,
        )
        try:
            with log_file.open("w", encoding="utf-8") as log:
                local.init(
                    runner=local.SubprocessRunner(use_venv=False),
                    pipeline_root=str(root / "artifacts"),
                    enable_caching=True,
                )
                # A console of its own on the real standard output, which is about to be redirected.
                progress = RunProgress(steps, Console(file=console.file), log, account.step)
                try:
                    with (
                        contextlib.redirect_stdout(progress),
                        _logged_to(progress),
                        _interpreter_as_shell_word(),
                        _no_step_left_behind(),
                    ):
                        task = pipeline()
                except RuntimeError as error:
                    reason = progress.failure or progress.last_line or str(error)
                    account.fail(reason)
                    raise MarqueeError(
                        f"{progress.failed_step or 'The pipeline'} failed: {reason}\n"
                        f"Everything that was printed is in {log_file}\n"
                        f"What the step was given is named by `marquee runs show {run_id}`. What other steps "
                        "made is kept: the same command goes on from here."
                    ) from error
                finally:
                    progress.stop()
                made = Path(task.output.path)
                account.finish(made)
                return made
        except BaseException as error:
            account.interrupt(error)
            raise


@contextlib.contextmanager
def _no_step_left_behind() -> Iterator[None]:
    """End the running step with the run: `kfp.local` leaves it running where only this process is stopped.

    SIGTERM, as service managers send it, then means what Ctrl-C means.
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    # For where nothing below can be done any more, because this process was killed.
    os.environ[RUN_PROCESS] = str(os.getpid())
    try:
        yield
    finally:
        del os.environ[RUN_PROCESS]
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
    with (root / LOCK).open("w") as lock:
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
