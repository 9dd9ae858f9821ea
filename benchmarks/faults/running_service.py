"""A real service, in a process of its own."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

START_SECONDS = 300
SAYING_SECONDS = 60


class RunningService:
    """A service in a process of its own, as the `MARQUEE_*` variables say; `said` holds its messages.

    Args:
        folder: where its events go, `events.jsonl`.
        code: what runs instead of `python -m serving`.
        environment: more variables.
        settings: fields of `serving.settings.Settings`.

    Raises:
        AssertionError: it did not start, with all that it said.
    """

    def __init__(
        self,
        folder: Path,
        code: str | None = None,
        environment: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        self.events = folder / "events.jsonl"
        command = [sys.executable, "-m", "serving"] if code is None else [sys.executable, "-c", code]
        with self.events.open("a") as events:
            self.process = subprocess.Popen(
                command,
                stdout=events,
                stderr=subprocess.PIPE,
                text=True,
                env=variables(**settings) | dict(environment or {}),
            )
        self.said: list[str] = []
        self._line_came = threading.Condition()
        self._looked_at = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._listens = threading.Event()
        self._reader.start()
        self._listens.wait(START_SECONDS)
        if not any("listens at" in line for line in self.said):
            self.stop()
            raise AssertionError("".join(self.said))
        line = next(line for line in self.said if "listens at" in line)
        self.address = line.split("listens at ")[1].split("/\n")[0].rstrip('/"} \n')
        """Such as `http://127.0.0.1:40123`."""

    def has_said(self, words: str) -> bool:
        """Whether it says something, now or soon, that was not asked for in this way before."""

        def found() -> bool:
            while self._looked_at < len(self.said):
                self._looked_at += 1
                if words in self.said[self._looked_at - 1]:
                    return True
            return False

        with self._line_came:
            return self._line_came.wait_for(found, SAYING_SECONDS)

    def stop(self, sent: signal.Signals = signal.SIGTERM) -> int:
        """Stop it, and return how it ended."""
        if self.process.poll() is None:
            self.process.send_signal(sent)
        code = self.process.wait(timeout=30)
        self._reader.join(timeout=10)
        return code

    def kill(self) -> None:
        """End it at once, as `kill -9` does."""
        self.stop(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._line_came:
                self.said.append(line)
                self._line_came.notify_all()
            if "listens at" in line:
                self._listens.set()
        self._listens.set()  # it has ended


def refusal(environment: Mapping[str, str] | None = None, **settings: Any) -> tuple[int, str]:
    """How a service that cannot start ends: its exit status, and all that it said."""
    ended = subprocess.run(
        [sys.executable, "-m", "serving"],
        check=False,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        env=variables(**settings) | dict(environment or {}),
    )
    return ended.returncode, ended.stderr


def variables(**settings: Any) -> dict[str, str]:
    """The environment of a service with settings, on any free port."""
    given = {f"MARQUEE_{name.upper()}": str(value) for name, value in settings.items()}
    return {**os.environ, "MARQUEE_PORT": "0", "PYTHONPATH": os.pathsep.join(sys.path)} | given
