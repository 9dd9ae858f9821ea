"""Asking a mirror for a file, from some byte on."""

import contextlib
import re
import ssl
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import unquote, urlsplit

import urllib3
from urllib3.exceptions import (
    HTTPError,
    MaxRetryError,
    NewConnectionError,
    ProtocolError,
    SSLError,
    TimeoutError,  # noqa: A004
)
from urllib3.util import Retry, Timeout, make_headers, parse_url

from recommender.data.fetching.patience import MayPassError, StartOverError
from recommender.errors import FetchError

_TIMEOUT: Final = Timeout(connect=5.0, read=30.0)
"""How long to wait for a connection, and for each next piece of the answer, in seconds."""

_REDIRECTS: Final = Retry(
    total=5, connect=0, read=0, status=0, other=0, respect_retry_after_header=False, raise_on_status=False
)
"""Redirects are followed at once; all else is judged here, because a body that breaks off has to be, too."""

_PASSING_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Answer:
    """What a mirror gives: a file from some byte on."""

    body: BinaryIO | urllib3.BaseHTTPResponse
    start: int
    total: int | None
    """Size of the whole file, if the mirror says so."""
    validator: str | None = None
    """By what the mirror knows this version of the file."""


def ask(address: str, start: int = 0, validator: str | None = None) -> Answer:
    """Ask for a file from some byte on; the answer may start at 0 all the same.

    Args:
        address: `https://`, `http://` or `file://`.
        start: The first byte wanted.
        validator: By what the mirror knew the version of the file that the bytes before are of.

    Raises:
        FetchError: the mirror could not be reached, or does not have the file.
        MayPassError: as it looks, only for now.
        StartOverError: it cannot go on there.
    """
    with told(address):
        parts = urlsplit(address)
        if parts.scheme == "file":
            path = Path(urllib.request.url2pathname(parts.path))
            return Answer(path.open("rb"), 0, path.stat().st_size)
    if parts.scheme not in {"http", "https"}:
        raise FetchError(f"{address} is not an address that starts with https://, http:// or file://.")
    # Ranges are of what is sent: compressed, it would be another file.
    headers = {"Accept-Encoding": "identity", "User-Agent": "marquee"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if validator:
            headers["If-Range"] = validator
    with told(address):
        response = _pool(address).request(
            "GET", address, headers=headers, timeout=_TIMEOUT, retries=_REDIRECTS, preload_content=False
        )
    try:
        return _read_head(address, response, start)
    except BaseException:
        response.close()
        raise


def _read_head(address: str, response: urllib3.BaseHTTPResponse, start: int) -> Answer:
    final = response.geturl() or address
    if address.startswith("https://") and urlsplit(final).scheme not in {"", "https"}:
        raise FetchError(f"{address} could not be fetched: it leads to {final}, which is not encrypted.")
    etag, length = response.headers.get("ETag", ""), response.headers.get("Content-Length", "")
    # Weak tags (W/) do not promise the same bytes.
    validator = etag if etag.startswith('"') else response.headers.get("Last-Modified")
    if response.status == 200:
        return Answer(response, 0, int(length) if length.isdecimal() else None, validator)
    if start and response.status in {206, 416}:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if response.status == 206 and found and int(found[1]) == start:
            return Answer(response, start, None if found[2] == "*" else int(found[2]), validator)
        raise StartOverError(f"{address} cannot be gone on with after {start:,} bytes.")
    message = f"{address} could not be fetched: the mirror answered {response.status} {response.reason}."
    if response.status in _PASSING_STATUSES:
        raise MayPassError(message, response=response)
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
def told(address: str) -> Iterator[None]:
    """Say what went wrong with a mirror, and tell what may pass from what will not.

    Raises:
        FetchError: in place of what the network or the disk raised inside.
        MayPassError: the same, where it may go by itself.
    """
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
            raise MayPassError(f"{failed} {reason}.", error=cause) from error
        raise FetchError(f"{failed} {reason}.") from error
    except (OSError, ValueError) as error:
        raise FetchError(f"{failed} {error}.") from error
