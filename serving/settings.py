"""How a service runs: which release, where it listens, how much it remembers."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recommender.errors import ConfigurationError

PREFIX = "MARQUEE_"


class Settings(BaseModel):
    """Settings of one service; each can come from an environment variable, `MARQUEE_PORT` for `port`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

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
    cache_entries: int = Field(default=10_000, ge=0)
    """How many answers to remember; 0 for none."""
    cache_seconds: float = Field(default=300.0, gt=0)
    """How long to remember an answer."""

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
                f"{problem['loc'][0]} ({PREFIX}{str(problem['loc'][0]).upper()}) is {problem['input']!r}: "
                f"{problem['msg']}"
                for problem in error.errors()
            )
            raise ConfigurationError(f"The service cannot run with these settings: {problems}.") from error
