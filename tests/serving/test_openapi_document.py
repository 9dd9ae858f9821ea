"""Requests made from the OpenAPI document, good and bad: each is answered as the document says."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from serving.app import create_app
from serving.settings import Settings

KEY = "an administrator's own key"
CASES = int(os.environ.get("MARQUEE_SCHEMA_CASES", "10"))
"""For each operation, good and bad."""
CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]


@pytest.fixture(scope="module")
def described(small_releases: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    ratings = f"sqlite:///{tmp_path_factory.mktemp('described') / 'ratings.db'}"
    limits = {"requests_per_minute_key": 0, "requests_per_minute_address": 0}
    app = create_app(Settings(releases=small_releases, ratings=ratings, admin_keys=KEY, **limits))
    yield schemathesis.openapi.from_asgi("/openapi.json", app)
    app.state.service.loaded.close()
    app.state.service.ratings.close()


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_fails_and_every_answer_is_as_documented(described: Any, mode: GenerationMode) -> None:
    for found in described.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=CASES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(generation_mode=mode))
        def ask(case: schemathesis.Case) -> None:
            case.call_and_validate(checks=CHECKS, headers={"X-API-Key": KEY})

        # An operation that takes nothing cannot be asked for wrongly.
        with contextlib.suppress(Unsatisfiable):
            ask()
