"""Saying how far a file is that is being fetched."""

import logging
import time

_logger = logging.getLogger(__name__)


class ProgressLog:
    """Says every now and then how far a file is.

    Args:
        name: Of the file.
        size: What was there before, in bytes.
        total: What there will be, None where that is not known.
    """

    def __init__(self, name: str, size: int, total: int | None) -> None:
        self._name, self._total = name, total
        self._began_at, self._began = size, time.monotonic()
        self._said_at, self._said = size, self._began

    def reached(self, size: int) -> None:
        """Say it if another 5 % came or 10 s went by, but at most once a second."""
        now = time.monotonic()
        enough = self._total is not None and size - self._said_at >= 0.05 * self._total
        if now - self._said < (1 if enough else 10):
            return
        self._said_at, self._said = size, now
        share = "" if self._total is None else f" of {megabytes(self._total)} ({size / self._total:.0%})"
        speed = (size - self._began_at) / (now - self._began) / 1e6
        _logger.info("%s: %s%s, %.1f MB/s", self._name, megabytes(size), share, speed)


def megabytes(size: int) -> str:
    """A number of bytes as a person reads it."""
    return f"{size / 1e6:,.1f} MB"
