"""Fetching files from mirrors: gone on with after a break, and kept only if they are what was asked for."""

import functools
import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from recommender.data.fetching.mirror import Answer, ask, told
from recommender.data.fetching.part import Part, held_part
from recommender.data.fetching.patience import MayPassError, StartOverError, patiently
from recommender.data.fetching.pinned_file import FetchedFile, PinnedFile, kept_file, verify
from recommender.data.fetching.progress_log import ProgressLog, megabytes
from recommender.errors import FetchError

_logger = logging.getLogger(__name__)

Progress = Callable[[int, int | None], None]
"""Is told how many bytes are there and how many there will be, None where that is not known."""

_CHUNK_BYTES: Final = 1 << 16

_MAX_BYTES: Final = 2**30
"""The most that is fetched of a file whose size is not known; the largest MovieLens archive takes 0.3 GB."""

_MAX_TEXT_BYTES: Final = 1 << 16


def fetch(
    pinned: PinnedFile,
    mirrors: Iterable[str],
    downloads: Path,
    *,
    on_progress: Progress | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> FetchedFile:
    """Fetch a file from the first mirror that has it, or take the one that was fetched before.

    It grows as `<name>.part`, is checked, and only then renamed. A part that a break, Ctrl-C or a kill left
    behind is gone on with, also by the next call and from another mirror. Of two processes that fetch the
    same file into the same folder one waits for the other.

    Args:
        pinned: the file.
        mirrors: base addresses in the order to try, `https://`, `http://` or `file://`.
        downloads: folder that keeps what was fetched.
        on_progress: is told after each piece; progress is logged anyway.
        pause: waits for so many seconds before a mirror is asked again.

    Raises:
        FetchError: no mirror could be reached or had that very file, which is said for each; or the folder
            cannot be written to.
    """
    failures = []
    try:
        downloads.mkdir(parents=True, exist_ok=True)
        target = downloads / pinned.name
        with held_part(target) as part:
            # Looked for only now, because whoever held the part may have finished it.
            if kept := kept_file(pinned, downloads):
                _logger.info("Using %s, fetched before", target)
                return kept
            if target.exists():
                _logger.warning("%s is not what it should be, and is fetched again", target)
            for mirror in mirrors:
                address = f"{mirror.rstrip('/')}/{pinned.name}"
                try:
                    sha256 = _download(address, pinned, part, on_progress, pause)
                except FetchError as error:
                    _logger.warning("%s", error)
                    failures.append(str(error))
                else:
                    part.keep(target)
                    _logger.info("Fetched and verified %s", address)
                    return FetchedFile(target, address, sha256)
    except OSError as error:
        raise FetchError(
            f"{pinned.name} cannot be written into {downloads}: {error.strerror}. Make room there, allow "
            "writing, or give another folder. What came so far is kept."
        ) from error
    raise FetchError("\n".join(failures) or f"No mirrors to fetch {pinned.name} from.")


def fetch_text(address: str, *, pause: Callable[[float], None] = time.sleep) -> str:
    """Fetch a short text, such as a published checksum.

    Raises:
        FetchError: it could not be fetched, or is not short.
    """

    def read() -> bytes:
        answer = ask(address)
        with answer.body, told(address):
            return answer.body.read(_MAX_TEXT_BYTES + 1)

    content = patiently(address, read, pause)
    if len(content) > _MAX_TEXT_BYTES:
        raise FetchError(f"{address} is not what was asked for: it has more than {_MAX_TEXT_BYTES:,} bytes.")
    return content.decode("utf-8", errors="replace")


def _download(
    address: str,
    pinned: PinnedFile,
    part: Part,
    on_progress: Progress | None,
    pause: Callable[[float], None],
) -> str:
    """Bring a part to its end from one address, check it and return its sha256."""
    receive = functools.partial(_receive, address, pinned, part, on_progress)
    if pinned.size is not None and part.size > pinned.size:
        part.clear()
    may_start_over = True
    while True:
        _logger.info(
            "Fetching %s%s", address, f", going on after {megabytes(part.size)}" if part.size else ""
        )
        patiently(address, receive, pause, reached=lambda: part.size)
        try:
            return verify(part.path, pinned, address)
        except FetchError as error:
            start_over, may_start_over = may_start_over and part.in_pieces, False
            part.clear()
            if not start_over:
                raise FetchError(
                    f"{error} It was removed. Try again or another mirror; if it stays so, the file was "
                    "replaced there or altered on the way."
                ) from error
            _logger.warning("%s It came in pieces, and is fetched once more from its start.", error)


def _receive(address: str, pinned: PinnedFile, part: Part, on_progress: Progress | None) -> None:
    """Append to a part what one answer brings; the answer may be to start over."""
    if part.size == pinned.size:
        return
    try:
        answer = ask(address, part.size, part.validator(address))
    except StartOverError:
        part.clear()
        raise
    with answer.body:
        if pinned.size is not None and answer.total not in {None, pinned.size}:
            raise FetchError(
                f"{address} is not the file that was asked for: expected {pinned.size:,} bytes, there are "
                f"{answer.total:,}. Try another mirror: this one has another version, or an error page."
            )
        if answer.start:
            part.in_pieces = True
        else:
            part.clear()
        part.remember(address, answer.validator)
        _append(address, answer, pinned, part, on_progress)


def _append(
    address: str, answer: Answer, pinned: PinnedFile, part: Part, on_progress: Progress | None
) -> None:
    expected = pinned.size or answer.total
    log = ProgressLog(pinned.name, part.size, expected)
    # Little more is taken than is expected, so that an endless answer ends.
    while part.size <= (pinned.size or _MAX_BYTES):
        with told(address):
            chunk = answer.body.read(_CHUNK_BYTES)
        if not chunk:
            break
        part.write(chunk)
        log.reached(part.size)
        if on_progress is not None:
            on_progress(part.size, expected)
    if expected is not None and part.size < expected:
        raise MayPassError(
            f"{address} could not be fetched: it broke off after {part.size:,} of {expected:,} bytes."
        )
