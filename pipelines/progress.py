"""Showing a person how far a pipeline run is.

`kfp.local` prints everything to standard output: its own log and that of each step's process. This module
stands in for standard output, keeps all of it in a file, and shows what a person wants to know.
"""

import io
import json
import re
import time
from collections.abc import Callable
from typing import Any, TextIO

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from recommender.step import FAILURE, MESSAGE, WARNING

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_BEGAN = re.compile(r"Executing task '([a-z-]+)'")
_ENDED = re.compile(r"Task '([a-z-]+)' finished with status (SUCCESS|FAILURE)")
_CACHED = re.compile(r"Task ([a-z-]+) cache hit")
_PLAIN_INTERVAL_S = 3.0
"""Where output is no terminal, a step's messages are shown this far apart."""


def _task(step: str) -> str:
    """ExampleGen -> example-gen, as Kubeflow Pipelines names the task."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", step).lower()


class RunProgress(io.TextIOBase):
    """A text stream that turns the output of `kfp.local` into progress.

    Args:
        steps: Names of the steps in their order.
        console: Where progress goes.
        log: Gets every line.
        told: Called with the name of a step and what is new of it, as fields of a `StepRecord`.
    """

    def __init__(
        self,
        steps: tuple[str, ...],
        console: Console,
        log: TextIO,
        told: Callable[..., Any] | None = None,
    ) -> None:
        self._told = told or (lambda *_, **__: None)
        self._names = {_task(step): step for step in steps}
        self._console, self._log = console, log
        self._buffer = ""
        self._done = 0
        self._current = ""
        self._began = time.perf_counter()
        self._last_shown = 0.0
        self._status: Status | None = None
        self.failure: str | None = None
        """Why the run failed, where a step said so."""
        self.last_line: str | None = None
        """The last line that a step printed: for a crash, the exception."""
        self.failed_step: str | None = None
        """The step that failed."""

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, text: str) -> int:
        """Take a piece of output."""
        self._log.write(_COLOUR.sub("", text))
        *lines, self._buffer = (self._buffer + text).split("\n")
        for line in lines:
            self._read(_COLOUR.sub("", line).strip())
        return len(text)

    def flush(self) -> None:
        """Flush the log."""
        self._log.flush()

    def stop(self) -> None:
        """Take the moving parts off the screen."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _read(self, line: str) -> None:
        if line.startswith(MESSAGE):
            self._show(json.loads(line.removeprefix(MESSAGE)))
        elif line.startswith(WARNING):
            # Not throttled and not overwritten: it stays on the screen.
            warning = escape(json.loads(line.removeprefix(WARNING)))
            self._console.print(f"{'':8}[yellow]warning:[/yellow] {warning}", soft_wrap=True)
        elif line.startswith(FAILURE):
            self.failure = json.loads(line.removeprefix(FAILURE))
        elif found := _BEGAN.search(line):
            self._begin(self._names.get(found[1], found[1]))
        elif found := _CACHED.search(line):
            step = self._names.get(found[1], found[1])
            self._end(step, "from the cache")
            self._told(step, state="from the cache")
        elif found := _ENDED.search(line):
            step, seconds = self._names.get(found[1], found[1]), time.perf_counter() - self._began
            if found[2] == "SUCCESS":
                self._end(step, f"{seconds:.1f} s")
                self._told(step, state="finished", seconds=round(seconds, 1))
            else:
                self.stop()
                self.failed_step = step
                self._told(step, state="failed", seconds=round(seconds, 1))
        elif line and self.failed_step is None:
            self.last_line = line

    def _begin(self, step: str) -> None:
        self._current, self._began, self._last_shown = step, time.perf_counter(), 0.0
        if self._console.is_terminal:
            self._status = self._console.status(self._label(step))
            self._status.start()
        self._told(step, state="running")

    def _show(self, message: str) -> None:
        if self._status is not None:
            self._status.update(f"{self._label(self._current)}  [dim]{escape(message)}[/dim]")
        elif time.perf_counter() - self._last_shown >= _PLAIN_INTERVAL_S:
            self._last_shown = time.perf_counter()
            self._console.print(f"{'':8}{escape(message)}", soft_wrap=True)

    def _end(self, step: str, note: str) -> None:
        self.stop()
        self._done += 1
        self._console.print(
            f"[dim]{self._done:2}/{len(self._names)}[/dim]  [green]✓[/green] {step:<16} [dim]{note}[/dim]"
        )

    def _label(self, step: str) -> str:
        return f"[dim]{self._done + 1:2}/{len(self._names)}[/dim]  {step:<16}"
