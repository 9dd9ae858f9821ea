"""Errors as problem documents (RFC 9457), the same shape for every one."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException

from serving.headers import REQUEST_ID

MEDIA_TYPE = "application/problem+json"
_SCHEMAS = "#/components/schemas/"
_LOG = logging.getLogger(__name__)


class InvalidParameter(BaseModel):
    """A parameter that does not fit."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    parameter: str = Field(examples=["limit"])
    """Its name."""
    location: str = Field(examples=["query"])
    """Where it was given: `path` or `query`."""
    received: Any = Field(examples=["0"])
    """What was given."""
    allowed: str = Field(examples=["integer from 1 to 100"])
    """What can be given."""


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Unprocessable Content",
                    "status": 422,
                    "detail": "limit is '0'; allowed: integer from 1 to 100.",
                    "instance": "/api/v1/recommendations/42",
                    "request_id": "5f0c6f1f0d8c4a5f9a54a3d1f5b0c7aa",
                    "errors": [
                        {
                            "parameter": "limit",
                            "location": "query",
                            "received": "0",
                            "allowed": "integer from 1 to 100",
                        }
                    ],
                }
            ]
        },
    )

    type: str = "about:blank"
    """Kind of problem; `about:blank` says no more than the status does."""
    title: str
    """The status in words."""
    status: int
    """The HTTP status."""
    detail: str
    """What went wrong this time, and what to do."""
    instance: str
    """The path that was asked for."""
    request_id: str
    """The request, as in `X-Request-ID`."""
    errors: list[InvalidParameter] = []
    """Each parameter that does not fit."""


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that answers with problem documents of these statuses."""
    schema = {"schema": {"$ref": f"{_SCHEMAS}Problem"}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: schema}}
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Answer every error of an app with a problem document."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Exception, _failed)
    _, definitions = models_json_schema([(Problem, "serialization")], ref_template=_SCHEMAS + "{model}")
    plain_openapi = app.openapi

    def openapi() -> dict[str, Any]:
        document = plain_openapi()
        document["components"]["schemas"].update(definitions["$defs"])
        return document

    app.openapi = openapi  # type: ignore[method-assign]


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    problems = [
        InvalidParameter(
            parameter=str(problem["loc"][-1]),
            location=str(problem["loc"][0]),
            received=problem["input"],
            allowed=_allowed(request, str(problem["loc"][0]), str(problem["loc"][-1])) or problem["msg"],
        )
        for problem in error.errors()
    ]
    detail = "; ".join(f"{item.parameter} is {item.received!r}; allowed: {item.allowed}" for item in problems)
    return problem_response(request, 422, f"{detail}.", errors=problems)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return problem_response(request, error.status_code, str(error.detail), headers=error.headers)


async def _failed(request: Request, error: Exception) -> JSONResponse:
    _LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem_response(request, 500, "The service failed. Its log says more, under this request's id.")


def problem_response(
    request: Request,
    status: int,
    detail: str,
    *,
    errors: list[InvalidParameter] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The answer that tells a problem.

    Args:
        request: what was asked.
        status: the HTTP status.
        detail: what went wrong, and what to do.
        errors: each parameter that does not fit.
        headers: more headers for the answer.
    """
    problem = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=request.url.path,
        request_id=request.state.request_id,
        errors=errors or [],
    )
    return JSONResponse(
        problem.model_dump(),
        status,
        # Said here as well, because the answer to a failure does not pass through the middleware.
        headers={REQUEST_ID: request.state.request_id, **(headers or {})},
        media_type=MEDIA_TYPE,
    )


def _allowed(request: Request, location: str, name: str) -> str | None:
    """What a parameter may be, as the OpenAPI document says."""
    path = getattr(request.scope.get("route"), "path", "")
    operation = request.app.openapi()["paths"].get(path, {}).get(request.method.lower(), {})
    for parameter in operation.get("parameters", []):
        if parameter["in"] == location and parameter["name"] == name:
            schema = parameter["schema"]
            kind = schema.get("type", "value")
            if "minimum" in schema and "maximum" in schema:
                return f"{kind} from {schema['minimum']} to {schema['maximum']}"
            return f"{kind} matching {schema['pattern']}" if "pattern" in schema else kind
    return None
