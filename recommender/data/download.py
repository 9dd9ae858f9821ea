"""Fetching MovieLens archives: from any mirror, and only byte for byte what is registered."""

import hashlib
import http.client
import importlib.util
import logging
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from recommender.errors import FetchError

_logger = logging.getLogger(__name__)

TIMEOUT_SECONDS: Final = 5.0
"""How long to wait for a connection, and for each next piece of the answer."""

ATTEMPTS: Final = 2
"""How often to try each mirror."""

_CHUNK_BYTES: Final = 1 << 18


@dataclass(frozen=True)
class PinnedFile:
    """A file that is known before it is fetched."""

    name: str
    address: str
    """Where it is published."""
    sha256: str
    size: int | None = None
    """In bytes; None where only the hash is known."""


@dataclass(frozen=True)
class FetchedFile:
    """A file that was fetched and is the one that was asked for."""

    path: Path
    address: str
    """Where it came from; of a file that was fetched before, where it is published."""


def registered_archive(name: str) -> PinnedFile:
    """The size and hash of a MovieLens archive, as tensorflow-datasets registers them.

    Raises:
        FetchError: the archive is not registered, or tensorflow-datasets is not installed.
    """
    # Importing tensorflow_datasets would take seconds: only its list is read.
    package = importlib.util.find_spec("tensorflow_datasets")
    if package is None or package.origin is None:
        raise FetchError(
            "tensorflow-datasets, which registers MovieLens's checksums, is missing. Install it."
        )
    registry = Path(package.origin).parent / "url_checksums" / "movielens.txt"
    try:
        entries = [line.split("\t") for line in registry.read_text("utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise FetchError(f"{registry} cannot be read: {error}. Install tensorflow-datasets again.") from error
    for address, size, sha256, registered in entries:
        if registered == name:
            return PinnedFile(name, address, sha256, int(size))
    known = ", ".join(entry[3] for entry in entries)
    raise FetchError(f"{name} is not among the archives registered in {registry}: {known}.")


def fetch(pinned: PinnedFile, mirrors: Iterable[str], downloads: Path) -> FetchedFile:
    """Fetch a file from the first mirror that has it, or take the one that was fetched before.

    It is written as `<name>.part`, checked, and only then renamed.

    Args:
        pinned: the file.
        mirrors: base addresses in the order to try, `https://`, `http://` or `file://`.
        downloads: folder that keeps what was fetched.

    Raises:
        FetchError: no mirror could be reached or had that very file; says so for each.
    """
    kept = kept_file(pinned, downloads)
    if kept is not None:
        _logger.info("Using %s, fetched before", kept.path)
        return kept
    downloads.mkdir(parents=True, exist_ok=True)
    target = downloads / pinned.name
    failures = []
    for mirror in mirrors:
        address = f"{mirror.rstrip('/')}/{pinned.name}"
        try:
            _download(address, pinned, target)
        except FetchError as error:
            _logger.warning("%s", error)
            failures.append(str(error))
        else:
            _logger.info("Fetched and verified %s", address)
            return FetchedFile(target, address)
    raise FetchError("\n".join(failures) or f"No mirrors to fetch {pinned.name} from.")


def kept_file(pinned: PinnedFile, downloads: Path) -> FetchedFile | None:
    """A file that was fetched before and still is the one that was asked for; one that is not is removed."""
    path = downloads / pinned.name
    if not path.is_file():
        return None
    try:
        verify(path, pinned, str(path))
    except FetchError as error:
        _logger.warning("%s It will be fetched again.", error)
        return None
    return FetchedFile(path, pinned.address)


def verify(path: Path, pinned: PinnedFile, address: str) -> None:
    """Check a file's size and hash, and remove it if it is another.

    Raises:
        FetchError: names the address, what was expected and what was received.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 == pinned.sha256 and pinned.size in {None, size}:
        return
    path.unlink()
    expected_size = "" if pinned.size is None else f"{pinned.size:,} bytes with "
    raise FetchError(
        f"{address} is not the file that was asked for: expected {expected_size}sha256 {pinned.sha256}, "
        f"received {size:,} bytes with sha256 {sha256}. It was removed. Try again or another mirror; "
        "if it stays so, the file was replaced there or altered on the way."
    )


def _download(address: str, pinned: PinnedFile, target: Path) -> None:
    part = target.with_name(f"{target.name}.part")
    for attempt in range(1, ATTEMPTS + 1):
        _logger.info("Fetching %s", address)
        try:
            # Only http(s) and file mirrors pass the configuration. Certificates are always checked.
            with urllib.request.urlopen(address, timeout=TIMEOUT_SECONDS) as answer, part.open("wb") as file:  # noqa: S310
                _copy(answer, file, pinned)
            verify(part, pinned, address)
            part.replace(target)
            return
        except (OSError, http.client.HTTPException, ValueError) as error:
            if attempt == ATTEMPTS:
                raise FetchError(f"{address} could not be fetched: {error}.") from error
            _logger.info("Trying again: %s", error)
        finally:
            part.unlink(missing_ok=True)


def _copy(answer: BinaryIO, file: BinaryIO, pinned: PinnedFile) -> None:
    """Copy an answer, but little more than is expected of it, so that an endless one ends."""
    received, next_report = 0, 0.25
    while chunk := answer.read(_CHUNK_BYTES):
        file.write(chunk)
        received += len(chunk)
        if pinned.size is None:
            continue
        if received > pinned.size:
            return
        if received >= next_report * pinned.size:
            _logger.info("%s: %d of %d MB", pinned.name, received >> 20, pinned.size >> 20)
            next_report += 0.25
