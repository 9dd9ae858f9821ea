"""Fetching files from mirrors: gone on with after a break, and kept only if they are what was asked for."""

import contextlib
import fcntl
import functools
import hashlib
import logging
import os
import re
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, TypeVar
from urllib.parse import unquote, urlsplit

import urllib3
from urllib3.exceptions import (
    HTTPError,
    InvalidHeader,
    MaxRetryError,
    NewConnectionError,
    ProtocolError,
    SSLError,
    TimeoutError,  # noqa: A004
)
from urllib3.util import Retry, Timeout, make_headers, parse_url

from recommender.errors import FetchError

_logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")

Progress = Callable[[int, int | None], None]
"""Is told how many bytes are there and how many there will be, None where that is not known."""

_TIMEOUT: Final = Timeout(connect=5.0, read=30.0)
"""How long to wait for a connection, and for each next piece of the answer, in seconds."""

_RETRIES: Final = Retry(total=4, connect=1, backoff_factor=1, backoff_jitter=1, backoff_max=30)
"""How often and how patiently a mirror is asked again. It starts anew whenever more of the file came."""

_REDIRECTS: Final = Retry(
    total=5, connect=0, read=0, status=0, other=0, respect_retry_after_header=False, raise_on_status=False
)
"""Redirects are followed at once; all else is judged here, because a body that breaks off has to be, too."""

_LONGEST_PAUSE_S: Final = 60.0
"""A mirror that asks for more patience is passed over."""

_PASSING_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504})

_CHUNK_BYTES: Final = 1 << 16

_MAX_BYTES: Final = 2**30
"""The most that is fetched of a file whose size is not known; the largest MovieLens archive takes 0.3 GB."""

_MAX_TEXT_BYTES: Final = 1 << 16


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
        with _held_part(target) as part:
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
        answer = _ask(address)
        with answer.body, _told(address):
            return answer.body.read(_MAX_TEXT_BYTES + 1)

    content = _patiently(address, read, pause)
    if len(content) > _MAX_TEXT_BYTES:
        raise FetchError(f"{address} is not what was asked for: it has more than {_MAX_TEXT_BYTES:,} bytes.")
    return content.decode("utf-8", errors="replace")


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


class _Part:
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
def _held_part(target: Path) -> Iterator[_Part]:
    """Open the part of a file, and keep other processes from it. A killed process holds nothing."""
    path = target.with_name(f"{target.name}.part")
    with _open_locked(path, target.name) as file:
        part = _Part(path, file)
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


@dataclass(frozen=True)
class _Answer:
    """What a mirror gives: a file from some byte on."""

    body: BinaryIO | urllib3.BaseHTTPResponse
    start: int
    total: int | None
    """Size of the whole file, if the mirror says so."""
    validator: str | None = None
    """By what the mirror knows this version of the file."""


def _download(
    address: str,
    pinned: PinnedFile,
    part: _Part,
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
            "Fetching %s%s", address, f", going on after {_megabytes(part.size)}" if part.size else ""
        )
        _patiently(address, receive, pause, reached=lambda: part.size)
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


def _receive(address: str, pinned: PinnedFile, part: _Part, on_progress: Progress | None) -> None:
    """Append to a part what one answer brings; the answer may be to start over."""
    if part.size == pinned.size:
        return
    try:
        answer = _ask(address, part.size, part.validator(address))
    except _StartOverError:
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
    address: str, answer: _Answer, pinned: PinnedFile, part: _Part, on_progress: Progress | None
) -> None:
    expected = pinned.size or answer.total
    log = _ProgressLog(pinned.name, part.size, expected)
    # Little more is taken than is expected, so that an endless answer ends.
    while part.size <= (pinned.size or _MAX_BYTES):
        with _told(address):
            chunk = answer.body.read(_CHUNK_BYTES)
        if not chunk:
            break
        part.write(chunk)
        log.reached(part.size)
        if on_progress is not None:
            on_progress(part.size, expected)
    if expected is not None and part.size < expected:
        raise _MayPassError(
            f"{address} could not be fetched: it broke off after {part.size:,} of {expected:,} bytes."
        )


class _ProgressLog:
    """Says every now and then how far a file is."""

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
        share = "" if self._total is None else f" of {_megabytes(self._total)} ({size / self._total:.0%})"
        speed = (size - self._began_at) / (now - self._began) / 1e6
        _logger.info("%s: %s%s, %.1f MB/s", self._name, _megabytes(size), share, speed)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


class _MayPassError(Exception):
    """What went wrong with a mirror and may go by itself."""

    def __init__(
        self,
        message: str,
        *,
        error: HTTPError | None = None,
        response: urllib3.BaseHTTPResponse | None = None,
    ) -> None:
        super().__init__(message)
        self.error, self.response = error, response


class _StartOverError(_MayPassError):
    """A mirror cannot go on where the part ends."""


def _patiently(
    address: str,
    attempt: Callable[[], _Result],
    pause: Callable[[float], None],
    reached: Callable[[], int] = lambda: 0,
) -> _Result:
    """Try again what may pass, with growing pauses, and anew with patience whenever it got further."""
    retries, furthest = _RETRIES, reached()
    while True:
        try:
            return attempt()
        except _MayPassError as passing:
            if reached() > furthest:
                retries, furthest = _RETRIES, reached()
            try:
                retries = retries.increment("GET", address, response=passing.response, error=passing.error)
            except MaxRetryError:
                raise FetchError(str(passing)) from passing
            seconds = max(_asked_pause(retries, passing.response), retries.get_backoff_time())
            if seconds > _LONGEST_PAUSE_S:
                raise FetchError(f"{passing} It asks to wait for {seconds:,.0f} s.") from passing
            _logger.info("%s Trying again in %.0f s", passing, seconds)
            pause(seconds)


def _asked_pause(retries: Retry, response: urllib3.BaseHTTPResponse | None) -> float:
    """How many seconds a mirror asks to wait (Retry-After), 0 if it does not."""
    try:
        return (response is not None and retries.get_retry_after(response)) or 0.0
    except InvalidHeader:
        return 0.0


def _ask(address: str, start: int = 0, validator: str | None = None) -> _Answer:
    """Ask for a file from some byte on; the answer may start at 0 all the same."""
    with _told(address):
        parts = urlsplit(address)
        if parts.scheme == "file":
            path = Path(urllib.request.url2pathname(parts.path))
            return _Answer(path.open("rb"), 0, path.stat().st_size)
    if parts.scheme not in {"http", "https"}:
        raise FetchError(f"{address} is not an address that starts with https://, http:// or file://.")
    # Ranges are of what is sent: compressed, it would be another file.
    headers = {"Accept-Encoding": "identity", "User-Agent": "marquee"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if validator:
            headers["If-Range"] = validator
    with _told(address):
        response = _pool(address).request(
            "GET", address, headers=headers, timeout=_TIMEOUT, retries=_REDIRECTS, preload_content=False
        )
    try:
        return _read_head(address, response, start)
    except BaseException:
        response.close()
        raise


def _read_head(address: str, response: urllib3.BaseHTTPResponse, start: int) -> _Answer:
    final = response.geturl() or address
    if address.startswith("https://") and urlsplit(final).scheme not in {"", "https"}:
        raise FetchError(f"{address} could not be fetched: it leads to {final}, which is not encrypted.")
    etag, length = response.headers.get("ETag", ""), response.headers.get("Content-Length", "")
    # Weak tags (W/) do not promise the same bytes.
    validator = etag if etag.startswith('"') else response.headers.get("Last-Modified")
    if response.status == 200:
        return _Answer(response, 0, int(length) if length.isdecimal() else None, validator)
    if start and response.status in {206, 416}:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if response.status == 206 and found and int(found[1]) == start:
            return _Answer(response, start, None if found[2] == "*" else int(found[2]), validator)
        raise _StartOverError(f"{address} cannot be gone on with after {start:,} bytes.")
    message = f"{address} could not be fetched: the mirror answered {response.status} {response.reason}."
    if response.status in _PASSING_STATUSES:
        raise _MayPassError(message, response=response)
    raise FetchError(message)


def _pool(address: str) -> urllib3.PoolManager:
    """A way to an address, through the proxy that the environment names. Certificates are always checked."""
    host = urlsplit(address).hostname or ""
    proxies = urllib.request.getproxies()
    proxy = proxies.get(urlsplit(address).scheme) or proxies.get("all")
    if not proxy or urllib.request.proxy_bypass(host):
        return urllib3.PoolManager()
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    credentials = parse_url(proxy).auth
    headers = make_headers(proxy_basic_auth=unquote(credentials)) if credentials else None
    return urllib3.ProxyManager(proxy, proxy_headers=headers)


@contextlib.contextmanager
def _told(address: str) -> Iterator[None]:
    """Say what went wrong with a mirror, and tell what may pass from what will not."""
    failed = f"{address} could not be fetched:"
    try:
        yield
    except HTTPError as error:
        reason = error.reason if isinstance(error, MaxRetryError) and error.reason else error
        inner = reason.args[0] if isinstance(reason, SSLError) and reason.args else None
        if isinstance(inner, ssl.SSLCertVerificationError):
            raise FetchError(
                f"{failed} its certificate is not valid: {inner.verify_message}. Certificates are always "
                "checked; if it has expired there, name another mirror (--mirror, or example_gen.mirrors). "
                "Where a proxy signs for everybody, name the file of its certificate in SSL_CERT_FILE."
            ) from error
        passing = (TimeoutError, ProtocolError)
        if isinstance(inner, ssl.SSLEOFError) or (
            isinstance(reason, passing) and not isinstance(reason, NewConnectionError)
        ):
            cause = reason if isinstance(reason, HTTPError) else error
            raise _MayPassError(f"{failed} {reason}.", error=cause) from error
        raise FetchError(f"{failed} {reason}.") from error
    except (OSError, ValueError) as error:
        raise FetchError(f"{failed} {error}.") from error
