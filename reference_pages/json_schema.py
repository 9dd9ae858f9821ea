"""JSON schemas, as pydantic and OpenAPI write them, in words and as Markdown tables."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

Schema = Mapping[str, Any]
Link = Callable[[str], str]
"""From the name of a schema to a Markdown link to where it is described."""

_LIMITS: Final = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "minLength": "{} characters or more",
    "maxLength": "{} characters at most",
    "minItems": "{} or more",
    "maxItems": "{} at most",
    "pattern": "matching `{}`",
}
_KINDS: Final = {"integer": "whole number", "number": "number", "boolean": "true or false", "string": "text"}
_LONG_DEFAULT: Final = 60


def name_of(schema: Schema) -> str | None:
    """The name of the schema that one refers to, itself or where it may also be left out; None of others."""
    for option in schema.get("anyOf", schema.get("allOf", [schema])):
        if "$ref" in option:
            return str(option["$ref"]).rpartition("/")[2]
    return None


def in_words(schema: Schema, link: Link) -> str:
    """What a value may be, such as `whole number, ≥ 1`."""
    if "$ref" in schema:
        return link(str(schema["$ref"]).rpartition("/")[2])
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            options = [option for option in schema[several] if option.get("type") != "null"]
            return " or ".join(dict.fromkeys(in_words(option, link) for option in options))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    limits = [words.format(schema[name]) for name, words in _LIMITS.items() if name in schema]
    return ", ".join([_kind(schema, link), *limits])


def _kind(schema: Schema, link: Link) -> str:
    kind = schema.get("type")
    if kind == "array":
        items = schema.get("prefixItems", [schema["items"]] if schema.get("items") else [])
        return " of ".join(["list", *dict.fromkeys(in_words(item, link) for item in items)])
    if kind == "object":
        values = schema.get("additionalProperties")
        return f"object of {in_words(values, link)}" if isinstance(values, Mapping) else "object"
    if schema.get("format") == "date-time":
        return "time"
    return _KINDS.get(str(kind), "anything")


def default_of(schema: Schema, *, required: bool) -> str:
    """What a value is where it is not given."""
    if required:
        return "required"
    value = schema.get("default")
    if value is None:
        return "none"
    return f"`{json.dumps(value)}`" if is_short(schema) else "see below"


def is_short(schema: Schema) -> bool:
    """Whether a default fits into a table."""
    return len(json.dumps(schema.get("default"))) <= _LONG_DEFAULT


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
