"""What monitoring and logs are told."""

import json
import logging
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from recommender.release import Release
from serving.records.logs import JsonLines
from serving.records.request_record import RequestRecord

PATH = "/api/v1/recommendations"


def samples(client: TestClient) -> dict[tuple[str, ...], float]:
    """What `/metrics` says: by name and the values of labels."""
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_requests_are_counted_by_route_and_stage(client: TestClient, live_release: Release) -> None:
    for user_id in (1, 2, 1):
        client.get(f"{PATH}/{user_id}")
    client.get(f"{PATH}/abc")
    client.get("/app.js")
    client.get("/nowhere")
    counted = samples(client)
    route = f"{PATH}/{{user_id}}"
    assert counted["marquee_request_seconds_count", "GET", route, "200"] == 3
    assert counted["marquee_request_seconds_count", "GET", route, "422"] == 1
    assert counted["marquee_request_seconds_count", "GET", "other", "200"] == 1
    assert counted["marquee_request_seconds_count", "GET", "other", "404"] == 1
    assert counted["marquee_cache_lookups_total", "miss"] == 2
    assert counted["marquee_cache_lookups_total", "hit"] == 1
    assert counted["marquee_stage_seconds_count", "cache"] == 3
    assert counted["marquee_stage_seconds_count", "recall"] == 2
    assert counted["marquee_stage_seconds_count", "total"] == 3
    assert counted["marquee_release_info", live_release.version] == 1


def test_there_are_no_more_series_than_routes_however_many_paths(client: TestClient) -> None:
    for user_id in range(50):
        client.get(f"{PATH}/{user_id}")
        client.get(f"/nowhere/{user_id}")
    routes = {key[2] for key in samples(client) if key[0] == "marquee_request_seconds_count"}
    assert routes == {f"{PATH}/{{user_id}}", "other"}


def test_every_request_leaves_one_line_with_its_id(start_service: Callable[..., Any]) -> None:
    service = start_service(log_format="json")
    with httpx.Client(base_url=service.address, headers={"X-Request-ID": "of-the-test"}) as http:
        http.get(f"{PATH}/3")
        http.get("/app.css")
        http.get(f"{PATH}/abc")
    service.stop()
    lines = [json.loads(line) for line in service.events.read_text().splitlines()]
    assert {line["request_id"] for line in lines} == {"of-the-test"}
    # A file's line comes once it is sent, which the next request need not wait for.
    lines.sort(key=lambda line: (line["event"], line.get("status")))
    assert [line["event"] for line in lines] == [
        "recommendations_served",
        "request_handled",
        "request_handled",
    ]
    assert [(line["path"], line["status"]) for line in lines[1:]] == [("/app.css", 200), (f"{PATH}/abc", 422)]
    messages = [json.loads(line) for line in service.said]
    assert {tuple(message)[:4] for message in messages} == {("time", "level", "logger", "message")}


def test_a_message_holds_the_request_and_what_failed() -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        record = logging.LogRecord("a", logging.ERROR, "", 0, "%s failed\nhere", ("it",), sys.exc_info())
    RequestRecord("of-the-test").become_current()
    line = json.loads(JsonLines().format(record))
    assert (line["level"], line["message"], line["request_id"]) == ("error", "it failed\nhere", "of-the-test")
    assert line["exception"].endswith("ValueError: broken")


def test_a_failed_request_is_counted_and_told(
    client: TestClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(client.app.state.service.recommender.__class__, "recommend")
    with caplog.at_level(logging.INFO):
        client.get(f"{PATH}/3")
        client.get(f"{PATH}/3")  # as a repeated request, too
    assert samples(client)["marquee_request_seconds_count", "GET", f"{PATH}/{{user_id}}", "500"] == 2
    told = [json.loads(line) for line in caplog.messages if line.startswith("{")]
    assert [line["status"] for line in told] == [500, 500]
