"""What holds for every answer: health, headers, problems, documentation, settings."""

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from recommender.errors import ConfigurationError
from recommender.release import Release
from serving.app import create_app
from serving.settings import Settings


def test_the_service_says_which_release_is_live_and_how_good(
    client: TestClient, live_release: Release
) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz").json()
    assert ready["release"] == live_release.version
    assert ready["created_at"] == live_release.manifest.created_at
    assert ready["metrics"]["ndcg@10"] == 0.4312
    assert ready["baselines"] == {"most_popular": {"ndcg@10": 0.203}}
    assert (ready["users"], ready["movies"], ready["protocol"]) == (30, 42, "P-random")


def test_the_service_says_how_a_movie_is_rated_and_whether_the_caller_may(client: TestClient) -> None:
    ready = client.get("/readyz").json()
    assert ready["rating_scale"] == {"min": 0.5, "max": 5.0, "step": 0.5}
    assert ready["may_rate"] is True
    assert client.get("/readyz", headers={"Host": "movies.example"}).json()["may_rate"] is False


@pytest.mark.parametrize("path", ["/", "/app.js", "/app.css", "/favicon.svg", "/healthz", "/nowhere"])
def test_every_answer_has_a_request_id_and_security_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert len(headers["x-request-id"]) == 32
    assert headers["content-security-policy"].startswith("default-src 'self';")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    ("given", "kept"), [("page-1.2_3", True), ("a" * 64, True), ("a" * 65, False), ('{"a": 1}', False)]
)
def test_a_callers_request_id_is_kept_if_it_is_plain(client: TestClient, given: str, kept: bool) -> None:
    answer = client.get("/healthz", headers={"X-Request-ID": given})
    assert (answer.headers["x-request-id"] == given) == kept


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_probe_may_ask_for_the_head_alone(client: TestClient, path: str) -> None:
    answer = client.head(path)
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/api/v2", 404), ("POST", "/healthz", 405)])
def test_what_is_not_there_is_a_problem(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == answer.json()["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/", "/app.js", "/app.css"])
def test_a_file_of_the_page_is_asked_for_each_time_and_sent_once(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.headers["cache-control"] == "no-cache"
    again = client.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == "no-cache"
    assert client.get(path, headers={"If-None-Match": '"another"'}).content == answer.content


def test_no_file_outside_the_page_is_served(client: TestClient) -> None:
    assert client.get("/../app.py").status_code == 404
    assert client.get("/%2e%2e/app.py").status_code == 404


def test_everything_is_documented_with_examples(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"], path
            assert operation["tags"], path
            for parameter in operation.get("parameters", []):
                assert parameter["description"], (path, parameter)
                assert parameter["schema"]["examples"], (path, parameter)
            if path.startswith("/api"):
                problem = "422" if {"parameters", "requestBody"} & operation.keys() else "500"
                content = operation["responses"][problem]["content"]
                assert list(content) == ["application/problem+json"]
    for name, schema in document["components"]["schemas"].items():
        for field, values in schema["properties"].items():
            described = any(key in values for key in ("description", "const", "$ref"))
            assert described or values.get("items"), (name, field)
    assert "Problem" in document["components"]["schemas"]


def test_the_documentation_page_points_at_the_document(client: TestClient) -> None:
    answer = client.get("/docs")
    assert answer.status_code == 200
    assert "openapi.json" in answer.text


def test_the_page_names_no_other_host(client: TestClient) -> None:
    for path in ("/", "/app.js", "/app.css"):
        assert "://" not in client.get(path).text


def test_a_particular_release_is_served_if_it_is_named(small_releases: Path, live_release: Release) -> None:
    app = create_app(Settings(releases=small_releases / "nowhere", release=live_release.folder))
    with TestClient(app) as client:
        assert client.get("/readyz").json()["release"] == live_release.version


def test_settings_come_from_the_environment_unless_given() -> None:
    environment = {"MARQUEE_PORT": "9000", "MARQUEE_RELEASES": "elsewhere", "MARQUEE_HOST": "", "PORT": "1"}
    settings = Settings.from_environment(environment, host=None, releases=Path("here"))
    assert (settings.port, settings.releases, settings.host) == (9000, Path("here"), "127.0.0.1")


@pytest.mark.parametrize(("name", "value"), [("port", "high"), ("port", "70000"), ("cache_seconds", "0")])
def test_a_setting_that_does_not_fit_names_its_variable(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"MARQUEE_{name.upper()}.*{value}"):
        Settings.from_environment({f"MARQUEE_{name.upper()}": value})
