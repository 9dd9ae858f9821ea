"""Folders for temporary files that do not outlive who made them, however that ended."""

import fcntl
import os
import shutil
import tempfile
import weakref
from pathlib import Path
from types import TracebackType
from typing import Self


class ScratchFolder:
    """A new folder among the machine's temporary files, removed with all it holds when it is closed.

    A process that is killed closes nothing, so each folder is locked by the process that made it, and making
    one first removes those of the same kind whose lock is free: their process has ended. Folders of other
    users are left alone.

    Args:
        kind: what the names of such folders begin with.

    Attributes:
        path: the folder.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, kind: str) -> None:
        _remove_abandoned(kind)
        self.path, lock = _made(kind)
        # Also where nobody closes it, when Python ends.
        self._end = weakref.finalize(self, _remove, self.path, lock)

    def close(self) -> None:
        """Remove the folder; once is enough, and again does no harm."""
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _made(kind: str) -> tuple[Path, int]:
    """A folder, and the descriptor under which this process alone has locked it."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=kind))
        # Until it is locked, another process may take it for abandoned.
        try:
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return path, lock
        os.close(lock)


def _remove(path: Path, lock: int) -> None:
    shutil.rmtree(path, ignore_errors=True)
    os.close(lock)


def _remove_abandoned(kind: str) -> None:
    for path in Path(tempfile.gettempdir()).glob(f"{kind}*"):
        try:
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue  # somebody else's, no folder, or just gone
        try:
            if os.fstat(lock).st_uid == os.geteuid():
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
        except BlockingIOError:
            pass  # in use
        finally:
            os.close(lock)
