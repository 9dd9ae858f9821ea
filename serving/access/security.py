"""Who asks, and what they may do."""

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from fastapi import Depends, HTTPException, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr

from recommender.errors import ConfigurationError
from serving.settings import Settings

KEY_HEADER = "X-API-Key"
Right = Literal["read", "write", "admin"]
RawHeaders = Iterable[tuple[bytes, bytes]]
_OF_API_KEY: frozenset[Right] = frozenset({"read", "write"})
_OF_ADMIN_KEY: frozenset[Right] = frozenset({"read", "write", "admin"})
_SHORTEST_KEY = 16
_THIS_MACHINE = re.compile(rb"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks."""

    name: str
    """The start of their key's digest, or their address: fit for logs and for counting."""
    rights: frozenset[Right]
    """What they may do."""
    key: Literal["none", "known", "unknown"]
    """Whether they gave a key, and whether it is one of the service's."""


class Access:
    """Knows the keys of a service, as digests, and what may be done without one.

    Args:
        api_keys: may read and write.
        admin_keys: may do everything.
        open_rights: what anybody may do. Writing is open only to requests that name this machine itself, so
            that no page of another site gets here under a name of its own (DNS rebinding).
    """

    def __init__(
        self,
        api_keys: Collection[str] = (),
        admin_keys: Collection[str] = (),
        *,
        open_rights: Collection[Right],
    ) -> None:
        self._keys = [(hashlib.sha256(key.encode()).digest(), _OF_API_KEY) for key in api_keys]
        self._keys += [(hashlib.sha256(key.encode()).digest(), _OF_ADMIN_KEY) for key in admin_keys]
        self._here = frozenset(open_rights)
        self._elsewhere = self._here - {"write"}

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The access that settings describe.

        Raises:
            ConfigurationError: a file of keys cannot be read, or a key is too short to be one.
        """
        open_rights: set[Right] = {"read"} if settings.reads == "open" else set()
        if settings.development:
            open_rights |= {"read", "write"}
        return cls(
            _given(settings.api_keys, settings.api_keys_file, "MARQUEE_API_KEYS"),
            _given(settings.admin_keys, settings.admin_keys_file, "MARQUEE_ADMIN_KEYS"),
            open_rights=open_rights,
        )

    def caller(self, headers: RawHeaders, address: str) -> Caller:
        """Who asks, by the key they give, else by their address (an IPv6 one by its /64 network).

        Args:
            headers: of the request, names in lower case, as ASGI has them.
            address: where the request comes from.
        """
        key, host = None, b""
        for name, value in headers:
            if name == b"x-api-key":
                key = value
            elif name == b"authorization" and key is None and value[:7].lower() == b"bearer ":
                key = value[7:].strip()
            elif name == b"host":
                host = value
        if key is None:
            here = _THIS_MACHINE.fullmatch(host) is not None
            return Caller(_network(address), self._here if here else self._elsewhere, "none")
        digest, granted = hashlib.sha256(key).digest(), None
        for known, rights in self._keys:  # all of them, so that the time it takes says nothing
            if hmac.compare_digest(known, digest):
                granted = rights
        if granted is None:
            return Caller(_network(address), frozenset(), "unknown")
        return Caller(f"key {digest.hex()[:12]}", granted, "known")


def _network(address: str) -> str:
    if ":" not in address:
        return address
    try:
        return str(ipaddress.IPv6Network((address.partition("%")[0], 64), strict=False))
    except ValueError:
        return address


def _given(keys: tuple[SecretStr, ...], path: Path | None, variable: str) -> list[str]:
    """The keys of a setting and of its file, one a line; never in a message."""
    found = [key.get_secret_value() for key in keys]
    if path is not None:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"The keys in {path} ({variable}_FILE) cannot be read: {type(error).__name__}. "
                "It holds one key a line, and the service must be allowed to read it."
            ) from error
        found += [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    for number, key in enumerate(found, start=1):
        if len(key) < _SHORTEST_KEY:
            raise ConfigurationError(
                f"Key {number} of {variable} has {len(key)} characters, and could be guessed; "
                f"it takes {_SHORTEST_KEY} or more. `openssl rand -hex 24` makes one."
            )
    return found


def require(right: Right, caller: Caller) -> Caller:
    """The caller, if they may do something.

    Raises:
        HTTPException: 401 without a key of the service, 403 with one that does not suffice.
    """
    if caller.key == "known" and right not in caller.rights:
        raise HTTPException(403, "This key may not do that: it takes one of MARQUEE_ADMIN_KEYS.")
    if caller.key == "unknown" or right not in caller.rights:
        reason = "This key is none of the service's." if caller.key == "unknown" else "This takes a key."
        raise HTTPException(
            401,
            f"{reason} Give one as {KEY_HEADER}: KEY, or as Authorization: Bearer KEY.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return caller


# Only the OpenAPI document needs these: who asks is known before a route is chosen.
_KeyHeader = Annotated[
    str | None,
    Security(APIKeyHeader(name=KEY_HEADER, auto_error=False, description="A key of the service.")),
]
_BearerKey = Annotated[
    HTTPAuthorizationCredentials | None,
    Security(HTTPBearer(auto_error=False, description="A key of the service.")),
]


async def _may_write(request: Request, _header: _KeyHeader, _bearer: _BearerKey) -> Caller:
    return require("write", request.state.caller)


async def _may_administer(request: Request, _header: _KeyHeader, _bearer: _BearerKey) -> Caller:
    return require("admin", request.state.caller)


# Reading needs no alias: the door asks it of every request (`callers.py`), so that no route forgets it.
WriteAccess = Annotated[Caller, Depends(_may_write)]
"""Whoever asks gave a key, or writes to their own machine's development service."""
AdminAccess = Annotated[Caller, Depends(_may_administer)]
"""Whoever asks gave an administrator's key."""
