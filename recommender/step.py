"""How a pipeline step speaks to whoever watches it."""

import json
import logging
import os
import select
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Never

from recommender.errors import MarqueeError

MESSAGE = "marquee-message "
"""Begins each line of a step's output that is meant for a person, as JSON text; the rest is for the log."""
WARNING = "marquee-warning "
"""Begins each line that a person must not miss, as JSON text."""
FAILURE = "marquee-failure "
"""Begins the line that says why a step failed, as JSON text."""

RUN_PROCESS = "MARQUEE_RUN_PROCESS"
"""Variable that names the process which a step must not outlive."""


class _Messages(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        mark = WARNING if record.levelno >= logging.WARNING else MESSAGE
        return mark + json.dumps(super().format(record))


@contextmanager
def step() -> Iterator[None]:
    """Run the body of a pipeline step in its own process.

    The library's log goes to standard output, marked, so that `marquee run` can show it. An error that a
    person can mend ends the process with its message alone; any other keeps its traceback.
    """
    _end_with_run()
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Messages())
    library = logging.getLogger("recommender")
    library.handlers = [handler]
    library.setLevel(logging.INFO)
    library.propagate = False
    try:
        yield
    except MarqueeError as error:
        sys.stdout.write(f"{FAILURE}{json.dumps(str(error))}\n")
        sys.stdout.flush()
        sys.exit(1)


def _end_with_run() -> None:
    """End this process when that of the run is gone, however it ended.

    A step that went on alone would write beside the next run, into the same training state and releases.
    """
    process = os.environ.get(RUN_PROCESS)
    if process is None:
        return
    try:
        gone = os.pidfd_open(int(process))
    except ProcessLookupError:
        os._exit(1)
    threading.Thread(target=_wait_for_end, args=(gone,), daemon=True).start()


def _wait_for_end(gone: int) -> Never:
    # Readable once the process has ended.
    select.select([gone], [], [])
    os._exit(1)
