"""Files that are known before they are fetched."""

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

from recommender.errors import FetchError


@dataclass(frozen=True)
class PinnedFile:
    """A file that is known before it is fetched."""

    name: str
    address: str
    """Where it is published."""
    sha256: str | None
    """None where only the md5 is known."""
    size: int | None = None
    """In bytes; None where only the hash is known."""
    md5: str | None = None


@dataclass(frozen=True)
class FetchedFile:
    """A file that was fetched and is the one that was asked for."""

    path: Path
    address: str
    """Where it came from; of a file that was fetched before, where it is published."""
    sha256: str


def kept_file(pinned: PinnedFile, downloads: Path) -> FetchedFile | None:
    """A file that was fetched before, None where there is none or it is not the one that was asked for."""
    path = downloads / pinned.name
    try:
        return FetchedFile(path, pinned.address, verify(path, pinned, str(path)))
    except (FetchError, OSError):
        return None


def verify(path: Path, pinned: PinnedFile, address: str) -> str:
    """Check a file's size and hash, and return its sha256.

    Raises:
        FetchError: names the address, what was expected and what was received.
    """
    size = path.stat().st_size
    sha256 = _digest(path, "sha256")
    name, expected = ("sha256", pinned.sha256) if pinned.sha256 is not None else ("md5", pinned.md5)
    received = sha256 if name == "sha256" else _digest(path, name)
    if received == expected and pinned.size in {None, size}:
        return sha256
    expected_size = "" if pinned.size is None else f"{pinned.size:,} bytes with "
    raise FetchError(
        f"{address} is not the file that was asked for: expected {expected_size}{name} {expected}, "
        f"received {size:,} bytes with {name} {received}."
    )


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        # md5 tells damage, not forgery; a system that forbids it for security has it for this.
        return hashlib.file_digest(
            file, functools.partial(hashlib.new, algorithm, usedforsecurity=algorithm != "md5")
        ).hexdigest()
