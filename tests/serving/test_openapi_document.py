"""Requests made from the OpenAPI document, good and bad: each is answered as the document says."""

from pathlib import Path

import schemathesis

from benchmarks.faults.openapi_cases import openapi_cases
from serving.app import create_app
from serving.settings import Settings

KEY = "an administrator's own key"


def test_no_request_fails_and_every_answer_is_as_documented(small_releases: Path, tmp_path: Path) -> None:
    ratings = f"sqlite:///{tmp_path / 'ratings.db'}"
    limits = {"requests_per_minute_key": 0, "requests_per_minute_address": 0}
    app = create_app(Settings(releases=small_releases, ratings=ratings, admin_keys=KEY, **limits))
    found = openapi_cases(schemathesis.openapi.from_asgi("/openapi.json", app), KEY, cases=10)
    app.state.service.loaded.close()
    app.state.service.ratings.close()
    assert found["violations"] == []
    assert found["cases"] > 150
