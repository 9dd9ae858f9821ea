"""A file as far as it came, which one process at a time appends to."""

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_logger = logging.getLogger(__name__)


class Part:
    """A file as far as it came, `<name>.part`, and beside it what is needed to go on with it."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path, self._file = path, file
        self._origin = path.with_name(f"{path.name}.origin")
        self.in_pieces = self.size > 0
        """Whether it came in more than one answer."""

    @property
    def size(self) -> int:
        """In bytes."""
        return os.fstat(self._file.fileno()).st_size

    def write(self, chunk: bytes) -> None:
        """Append a piece; what is written survives the process."""
        rest = memoryview(chunk)
        while rest:
            rest = rest[self._file.write(rest) :]

    def clear(self) -> None:
        """Start over."""
        if self.size:
            self._file.truncate(0)
        self.in_pieces = False

    def validator(self, address: str) -> str | None:
        """By what an address knows the version of the file that this is a part of."""
        try:
            came_from, validator = self._origin.read_text("utf-8").splitlines()
        except (OSError, ValueError):
            return None
        return validator if came_from == address else None

    def remember(self, address: str, validator: str | None) -> None:
        """Keep for the next attempt where this part comes from."""
        self._origin.write_text(f"{address}\n{validator or ''}\n", encoding="utf-8")

    def keep(self, target: Path) -> None:
        """Give the finished file its name."""
        self.path.replace(target)
        self._origin.unlink(missing_ok=True)

    def drop(self) -> None:
        """Remove it."""
        self.path.unlink(missing_ok=True)
        self._origin.unlink(missing_ok=True)


@contextlib.contextmanager
def held_part(target: Path) -> Iterator[Part]:
    """Open the part of a file, and keep other processes from it. A killed process holds nothing."""
    path = target.with_name(f"{target.name}.part")
    with _open_locked(path, target.name) as file:
        part = Part(path, file)
        try:
            yield part
        finally:
            if not part.size and _is_at(path, file):
                part.drop()


def _open_locked(path: Path, name: str) -> BinaryIO:
    while True:
        file = path.open("ab", buffering=0)
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _logger.info("Another process is fetching %s: waiting for it", name)
                fcntl.flock(file, fcntl.LOCK_EX)
            # Whoever held it may have renamed or removed it: then it is not the part any more.
            if _is_at(path, file):
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def _is_at(path: Path, file: BinaryIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
