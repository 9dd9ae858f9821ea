"""The reference of the REST interface, from its OpenAPI document."""

import json
from http import HTTPStatus
from typing import Any

from reference_pages.json_schema import Schema, default_of, in_words, table
from serving.app import describe_api
from serving.problems import MEDIA_TYPE

_ABOUT = """# REST interface

Made from the [OpenAPI document](openapi.json), which a running service has at `/openapi.json`. Errors are
[problem documents](#problem). [The service](../service.md) says what the routes are for.
"""


def openapi_document() -> dict[str, Any]:
    """The OpenAPI document of the service."""
    return describe_api().openapi()


def rest_api_page() -> str:
    """Every route and every object that is sent or answered, as Markdown."""
    document = openapi_document()
    parts = [_ABOUT]
    for tag in document["tags"]:
        parts.append(f"## {tag['name'].capitalize()}\n\n{tag['description']}")
        for path, operations in document["paths"].items():
            parts += [
                _operation(method, path, operation)
                for method, operation in operations.items()
                if tag["name"] in operation["tags"]
            ]
    parts.append("## Objects")
    parts += [_object(name, schema) for name, schema in sorted(document["components"]["schemas"].items())]
    return "\n\n".join(parts) + "\n"


def _operation(method: str, path: str, operation: Schema) -> str:
    parts = [
        f"### `{method.upper()} {path}`",
        f"**{operation['summary']}.** {operation.get('description', '')}",
    ]
    parameters = [
        (
            f"`{parameter['name']}`",
            parameter["in"],
            in_words(parameter["schema"], _link),
            default_of(parameter["schema"], required=parameter.get("required", False)),
            parameter.get("description", ""),
        )
        for parameter in operation.get("parameters", [])
    ]
    if parameters:
        parts.append(table(("parameter", "in", "value", "default", "what it says"), parameters))
    bodies = operation.get("requestBody", {}).get("content", {}).values()
    parts += [f"The body: {in_words(content['schema'], _link)}." for content in bodies]
    answers = [
        (status, answer["description"] or HTTPStatus(int(status)).phrase, _answered(answer))
        for status, answer in operation["responses"].items()
    ]
    parts.append(table(("status", "when", "answer"), answers))
    return "\n\n".join(parts)


def _answered(answer: Schema) -> str:
    for media_type, content in answer.get("content", {}).items():
        if media_type == MEDIA_TYPE:
            return _link("Problem")
        return in_words(content["schema"], _link) if content.get("schema") else f"`{media_type}`"
    return "none"


def _object(name: str, schema: Schema) -> str:
    required = schema.get("required", ())
    rows = [
        (
            f"`{field}`",
            in_words(content, _link),
            default_of(content, required=field in required),
            content.get("description", ""),
        )
        for field, content in schema.get("properties", {}).items()
    ]
    parts = [f"### {name}", schema.get("description", "")]
    parts.append(table(("field", "value", "default", "what it says"), rows))
    parts += [
        f"```json\n{json.dumps(example, indent=2, ensure_ascii=False)}\n```"
        for example in schema.get("examples", [])
    ]
    return "\n\n".join(parts)


def _link(name: str) -> str:
    return f"[{name}](#{name.lower()})"
