"""Answers that need not be sent again to whoever has them."""

import hashlib
from collections.abc import Callable

from fastapi import Request, Response
from pydantic import BaseModel

from serving.records.request_record import RequestRecord

# Goes up when the shape of what is answered from a release alone changes.
_FORMAT = 1
_MEDIA_TYPE = "application/json"


def json_once(request: Request, body: bytes) -> Response:
    """An answer, or 304 for whoever has the same one; only they may keep it, and have to ask each time."""
    return _tagged(request, f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"', lambda: body)


def of_release(request: Request, version: str, make: Callable[[], BaseModel]) -> Response:
    """An answer that follows from its address and the release, or 304 for whoever has it, without making it.

    Args:
        request: what was asked.
        version: of the release.
        make: makes the answer.
    """
    return _tagged(request, f'"{version}-{_FORMAT}"', lambda: make().model_dump_json().encode())


def _tagged(request: Request, tag: str, make: Callable[[], bytes]) -> Response:
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    known = request.headers.get("if-none-match")
    if known is not None and _names(known, tag):
        return Response(status_code=304, headers=headers)
    body = make()
    if RequestRecord.current().degraded:
        headers = {"Cache-Control": "no-store"}  # the next answer may be whole again
    return Response(body, media_type=_MEDIA_TYPE, headers=headers)


def _names(known: str, tag: str) -> bool:
    """Whether an `If-None-Match` names a tag (RFC 9110, 13.1.2: weak comparison)."""
    tags = [part.strip().removeprefix("W/") for part in known.split(",")]
    return tag in tags or tags == ["*"]
