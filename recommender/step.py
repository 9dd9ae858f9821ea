"""How a pipeline step speaks to whoever watches it."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from recommender.errors import MarqueeError

MESSAGE = "marquee-message "
"""Begins each line of a step's output that is meant for a person, as JSON text; the rest is for the log."""
WARNING = "marquee-warning "
"""Begins each line that a person must not miss, as JSON text."""
FAILURE = "marquee-failure "
"""Begins the line that says why a step failed, as JSON text."""


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
