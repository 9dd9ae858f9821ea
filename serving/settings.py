"""How a service runs: which release, where it listens, who may ask, how much it remembers."""

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from recommender.errors import ConfigurationError

PREFIX = "MARQUEE_"
_SECRET = {"api_keys", "admin_keys", "redis_url", "qdrant_url", "qdrant_api_key"}


def _parts(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_parts)]
"""Several, with commas between them."""
Keys = Annotated[tuple[SecretStr, ...], BeforeValidator(_parts)]
"""Several secrets, with commas between them."""


class Settings(BaseModel):
    """Settings of one service; each can come from an environment variable, `MARQUEE_PORT` for `port`."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True
    )

    releases: Path = Path("var/releases")
    """The folder of all releases; the live one is served."""
    release: Path | None = None
    """A particular release folder to serve instead of the live one."""
    ratings: str | None = None
    """Where ratings that come in are kept: `sqlite:////absolute/file.db`, or
    `postgresql+psycopg://user@host/database`. Without this, `ratings.db` beside the folder of all
    releases."""
    host: str = Field(default="127.0.0.1", min_length=1)
    """The address to listen at; `0.0.0.0` for all of this machine's."""
    port: int = Field(default=8000, ge=0, le=65535)
    """The port to listen at; 0 for any that is free."""
    workers: int = Field(default=1, ge=1, le=64)
    """How many processes answer; each holds the release."""
    cache_entries: int = Field(default=10_000, ge=0)
    """How many answers a process remembers, where Redis does not; 0 for none. They take 64 MiB at most."""
    cache_seconds: float = Field(default=3600.0, gt=0)
    """How long to remember an answer."""
    redis_url: SecretStr | None = None
    """A Redis server that remembers answers and counts requests for all workers and services that name it:
    `redis://:PASSWORD@HOST:6379/0`, `rediss://` for TLS. Without it each process does so itself."""
    redis_seconds: float = Field(default=0.1, gt=0, le=10)
    """How long Redis may take to answer, connecting included."""
    redis_pause_seconds: float = Field(default=5.0, gt=0)
    """How long Redis is left alone after it failed three times in a row."""
    qdrant_url: str | None = Field(default=None, min_length=1)
    """A Qdrant server that `marquee index sync` has brought to the release, such as `http://HOST:6333`.
    Without it each process searches the release's own index."""
    qdrant_api_key: SecretStr | None = None
    """The server's key, if it takes one."""
    qdrant_seconds: int = Field(default=1, ge=1, le=30)
    """How long the server may take to connect, and to answer."""
    qdrant_pause_seconds: float = Field(default=5.0, gt=0)
    """How long the server is left alone after it failed three times in a row; every vector of the release is
    searched meanwhile."""
    release_check_seconds: float = Field(default=1.0, gt=0)
    """How often to look whether another release has become the live one."""
    development: bool = False
    """Whether anybody may write without a key; only for a service that this machine alone can reach."""
    reads: Literal["open", "key"] = "open"
    """Whether anybody may read, or only who gives a key. The page needs open reads."""
    api_keys: Keys = ()
    """Keys that may read and write, of 16 characters or more: `X-API-Key` or `Authorization: Bearer`."""
    api_keys_file: Path | None = None
    """A file with more of them, one a line."""
    admin_keys: Keys = ()
    """Keys that may also administer."""
    admin_keys_file: Path | None = None
    """A file with more of them, one a line."""
    requests_per_minute_key: int = Field(default=30_000, ge=0)
    """How often one key may ask, all at once if it was quiet before; 0 for no limit."""
    requests_per_minute_address: int = Field(default=3_000, ge=0)
    """The same for an address that gives no key."""
    trusted_proxies: Names = ()
    """Addresses or networks of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed; none by
    default, which takes the address that connects."""
    cors_origins: Names = ()
    """Other sites whose pages may call this service from a browser, such as `https://shop.example`."""
    body_bytes: int = Field(default=1_048_576, ge=1)
    """How large the body of a request may be."""
    request_seconds: float = Field(default=30.0, gt=0)
    """How long a request may take."""
    shutdown_seconds: int = Field(default=10, ge=0)
    """How long requests under way may still take after the service is told to stop."""
    log_format: Literal["text", "json"] = "text"
    """Messages for a person, or one line of JSON each. Events are always JSON, on standard output."""
    log_requests: bool = True
    """Whether each request that leaves no event of its own, such as the page's files, gets one, too."""

    @model_validator(mode="after")
    def _development_stays_on_this_machine(self) -> Self:
        if self.development and not _is_loopback(self.host):
            raise ValueError(
                f"development=true lets anybody write, and {self.host} can be reached from elsewhere: "
                f"listen at 127.0.0.1, or leave out {PREFIX}DEVELOPMENT and use {PREFIX}API_KEYS"
            )
        return self

    @property
    def ratings_url(self) -> str:
        """The address of the store of ratings, whether it is set or not."""
        return self.ratings or f"sqlite:///{self.releases.absolute().parent / 'ratings.db'}"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, **overrides: Any) -> Self:
        """Settings from `MARQUEE_*` variables, with what is given here put over them.

        Args:
            environment: the variables; those of this process if None.
            overrides: values that go before the variables; None means not given.

        Raises:
            ConfigurationError: a value that does not fit, with the variable's name.
        """
        variables = os.environ if environment is None else environment
        values: dict[str, Any] = {
            name: variables[PREFIX + name.upper()]
            for name in cls.model_fields
            if variables.get(PREFIX + name.upper())
        }
        values |= {name: value for name, value in overrides.items() if value is not None}
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            problems = "; ".join(
                _told(str(problem["loc"][0]) if problem["loc"] else None, problem["input"], problem["msg"])
                for problem in error.errors()
            )
            raise ConfigurationError(f"The service cannot run with these settings: {problems}.") from error


def _told(name: str | None, value: Any, message: str) -> str:
    if name is None:
        return message.removeprefix("Value error, ")
    shown = "wrong" if name in _SECRET else repr(value)
    return f"{name} ({PREFIX}{name.upper()}) is {shown}: {message}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
