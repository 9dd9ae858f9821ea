"""Errors as problem documents (RFC 9457), the same shape for every one."""

import logging
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException

from recommender.errors import RatingConflictError, RatingStoreError, StoreFullError
from serving.access.headers import REQUEST_ID

MEDIA_TYPE = "application/problem+json"
_SCHEMAS = "#/components/schemas/"
_SAYS_ENOUGH = {"integer", "number", "boolean"}
_ERRORS_SHOWN = 10
_LONGEST_SHOWN = 100
_RETRY_AFTER_S = 5
_LOG = logging.getLogger(__name__)


class InvalidParameter(BaseModel):
    """A parameter that does not fit."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    parameter: str = Field(examples=["limit"])
    """Its name."""
    location: str = Field(examples=["query"])
    """Where it was given: `path`, `query`, `header` or `body`."""
    received: Any = Field(examples=["0"])
    """What was given; the beginning of it where it is long."""
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
    app.add_exception_handler(RatingStoreError, _store_failed)
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
            parameter=_plain(_name(problem["loc"])),
            location=str(problem["loc"][0]),
            received=_plain(problem["input"]),
            allowed=_allowed(request, str(problem["loc"][0]), _name(problem["loc"])) or problem["msg"],
        )
        for problem in error.errors()[:_ERRORS_SHOWN]
    ]
    detail = "; ".join(f"{item.parameter} is {item.received!r}; allowed: {item.allowed}" for item in problems)
    return problem_response(request, 422, f"{detail}.", errors=problems)


async def _store_failed(request: Request, error: Exception) -> JSONResponse:
    # Which database it is concerns its keeper only.
    _LOG.warning("%s", error)
    if isinstance(error, RatingConflictError):
        return problem_response(
            request, 409, "This Idempotency-Key was used before, for another rating: take a new one."
        )
    again = (
        "Nothing was lost that was answered with success; send it again later, with the same Idempotency-Key."
    )
    if isinstance(error, StoreFullError):
        return problem_response(request, 507, f"There is no room for more ratings. {again}")
    return problem_response(
        request,
        503,
        f"The store of ratings does not answer. {again}",
        headers={"Retry-After": str(_RETRY_AFTER_S)},
    )


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


def _name(place: tuple[str | int, ...]) -> str:
    """A parameter, and where in it, such as `ratings.3.rating`; the body's own name for the whole of it."""
    return ".".join(map(str, place[1:] or place))


def _plain(value: Any) -> Any:
    """A value that fits into a short answer, and that JSON can say."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < 2**63):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    # What is not finite, not UTF-8 or a number of thousands of digits is told as text.
    return str(value)[:_LONGEST_SHOWN].encode("utf-8", "backslashreplace").decode()


def _allowed(request: Request, location: str, name: str) -> str | None:
    """What a parameter may be, as the OpenAPI document says."""
    path = getattr(request.scope.get("route"), "path", "")
    operation = request.app.openapi()["paths"].get(path, {}).get(request.method.lower(), {})
    for parameter in operation.get("parameters", []):
        if parameter["in"] == location and parameter["name"] == name:
            # Of a parameter that may be left out, the kind that it has if it is not.
            schema = parameter["schema"].get("anyOf", [parameter["schema"]])[0]
            kind = schema.get("type", "value")
            if "minimum" in schema and "maximum" in schema:
                return f"{kind} from {schema['minimum']} to {schema['maximum']}"
            if "pattern" in schema:
                return f"{kind} matching {schema['pattern']}"
            return kind if kind in _SAYS_ENOUGH else None
    return None
