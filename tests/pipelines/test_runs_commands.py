"""`marquee runs`."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pipelines.cli import app
from pipelines.run_record import RunRecord, RunRecorder, this_process
from recommender.release import promote
from tests.recommender.small_releases import judged, small_release

SHA = "c32771a99d16e8075576b98724fbf735fa8b4b97861c2a8e018d7fbb6e3f9fd1"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One run that made the live release, and a later one that failed in Transform."""
    releases = tmp_path / "releases"
    version = small_release(
        releases,
        metrics=judged(0.42),
        mlflow_run_id="cafe",
        git_commit="abcdef0" + "0" * 33,
        data={
            "source": {"files": ["ratings.csv"], "file_sha256": {"ratings.csv": SHA}, "ratings_sha256": "aa"},
            "split": {
                "protocol": "P-random",
                "seed": 7,
                "parts": {"test": {"n_ratings": 1604, "sha256": "bb"}},
            },
        },
    )
    promote(releases, version)
    examples = tmp_path / "artifacts" / "one" / "example-gen" / "examples"
    examples.mkdir(parents=True)
    for hours, end in enumerate(["finished", "failed"]):
        recorder = RunRecorder(
            tmp_path,
            RunRecord(
                id=f"20260301T0{hours}0000-9",
                name="nightly",
                config={},
                git_commit="abcdef0" + "0" * 33,
                fingerprint="f" * 64,
                data_fingerprint="d" * 16,
                began_at=datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=hours),
                dataset="ratings from the folder shop",
                counts={"ratings": 8000},
                log=str(tmp_path / "logs" / "it.log"),
                asked={"until": "Pusher", "force": False},
                **this_process(),
            ),
        )
        recorder.step("ExampleGen", state="finished", seconds=75.0, outputs={"examples": str(examples)})
        if end == "failed":
            recorder.step("Transform", state="running", inputs={"examples": str(examples)})
            recorder.end("failed", failure="there are no ratings")
        else:
            recorder.update(metrics={"ndcg@10": 0.42, "ndcg@5": 0.1})
            recorder.end("finished", release=version)
    return tmp_path


def runs(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["runs", *map(str, arguments)], catch_exceptions=False)


def test_the_list_has_the_newest_run_first_with_what_came_of_it(root):
    failed, finished = (line for line in runs("list", "--root", root).output.splitlines() if "202603" in line)
    assert "failed" in failed
    for word in ("finished", "0.4200", "abcdef0", "nightly: ratings from the folder shop"):
        assert word in finished
    told = json.loads(runs("list", "--json", "--limit", "1", "--root", root).output)
    assert [run["state"] for run in told] == ["failed"]


def test_where_nothing_ran_the_list_says_so(tmp_path):
    assert "Nothing has run" in runs("list", "--root", tmp_path).output


def test_show_names_what_the_step_that_failed_was_given_and_the_log(root):
    output = runs("show", "--root", root).output
    assert "failed: there are no ratings" in output
    examples = root / "artifacts" / "one" / "example-gen" / "examples"
    assert f"was given examples: {examples}" in output
    assert str(root / "logs" / "it.log") in output
    assert "ExampleGen: finished, 1 min 15 s" in output


def test_what_was_removed_since_is_said_to_be(root):
    (root / "artifacts" / "one" / "example-gen" / "examples").rmdir()
    assert "example-gen/examples (removed since)" in runs("show", "--root", root).output


def test_a_release_is_followed_back_to_its_files(root):
    output = runs("lineage", "--root", root).output
    for line in (
        f"ratings.csv, sha256 {SHA}",
        "ratings as read, sha256 aa",
        "split: P-random, seed 7",
        "test: 1,604 ratings, sha256 bb",
        "MLflow run cafe",
        "code: abcdef0",
        "libraries: numpy 2.0",
        "run 20260301T000000-9, finished",
        "ExampleGen: finished, 1 min 15 s",
    ):
        assert line in output
    assert "20260301T010000-9" not in output
    told = json.loads(runs("lineage", "live", "--json", "--root", root).output)
    assert [run["id"] for run in told["runs"]] == ["20260301T000000-9"]
    assert told["release"]["data"]["source"]["file_sha256"] == {"ratings.csv": SHA}


def test_a_release_of_unknown_origin_is_said_to_be(root):
    for record in (root / "runs").iterdir():
        record.unlink()
    assert "no run under" in runs("lineage", "--root", root).output
