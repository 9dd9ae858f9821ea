"""Asking a mirror again where what went wrong may pass."""

import logging
from collections.abc import Callable
from typing import Final, TypeVar

import urllib3
from urllib3.exceptions import HTTPError, InvalidHeader, MaxRetryError
from urllib3.util import Retry

from recommender.errors import FetchError

_logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")

_RETRIES: Final = Retry(total=4, connect=1, backoff_factor=1, backoff_jitter=1, backoff_max=30)
"""How often and how patiently a mirror is asked again. It starts anew whenever more of the file came."""

_LONGEST_PAUSE_S: Final = 60.0
"""A mirror that asks for more patience is passed over."""


class MayPassError(Exception):
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


class StartOverError(MayPassError):
    """A mirror cannot go on where the part ends."""


def patiently(
    address: str,
    attempt: Callable[[], _Result],
    pause: Callable[[float], None],
    reached: Callable[[], int] = lambda: 0,
) -> _Result:
    """Try again what may pass, with growing pauses, and anew with patience whenever it got further.

    Args:
        address: What is asked, for messages.
        attempt: Raises `MayPassError` where trying again is worth it.
        pause: Waits for so many seconds.
        reached: How far the attempts have come, in bytes.

    Raises:
        FetchError: it did not pass, or the mirror asks for too long a pause.
    """
    retries, furthest = _RETRIES, reached()
    while True:
        try:
            return attempt()
        except MayPassError as passing:
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
