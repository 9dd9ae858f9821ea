"""The kind of object every configuration section is."""

import json
from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class Configuration(BaseModel):
    """A frozen, validated section of the configuration that round-trips to JSON.

    Unknown keys and values of another kind are errors: `1` is a valid float, `"1"` is not.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    @classmethod
    def from_mapping(cls, values: dict[str, Any]) -> Self:
        """Read plain values, such as YAML or JSON gives.

        Raises:
            pydantic.ValidationError: a key or a value that does not fit, with its path.
        """
        # Through JSON, because strict mode takes a list for a tuple and a string for a path only from there.
        return cls.model_validate_json(json.dumps(values))
