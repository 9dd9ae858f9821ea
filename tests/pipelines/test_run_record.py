"""What a run leaves to be read later, however it ended."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipelines.run_record import (
    RunRecord,
    RunRecorder,
    find_run,
    last_seconds,
    read_runs,
    release_runs,
    this_process,
)
from recommender.errors import MarqueeError

BEGAN = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


def record(run: str = "20260301T020000-7", **more: Any) -> RunRecord:
    known = {
        "id": run,
        "name": "nightly",
        "config": {"run": {"name": "nightly"}},
        "git_commit": "0" * 40,
        "fingerprint": "f" * 64,
        "data_fingerprint": "d" * 16,
        "began_at": BEGAN,
        "log": "logs/it.log",
    }
    return RunRecord.model_validate(known | this_process() | more)


def test_a_run_is_read_as_it_went_on(tmp_path: Path) -> None:
    recorder = RunRecorder(tmp_path, record())
    recorder.step("ExampleGen", state="running")
    (seen,) = read_runs(tmp_path)
    assert seen.state == "running"
    assert seen.step("ExampleGen").state == "running"
    recorder.step("ExampleGen", state="finished", seconds=1.5)
    recorder.step("Transform", state="running", inputs={"examples": "/somewhere"})
    recorder.end("failed", failure="line 7")
    (seen,) = read_runs(tmp_path)
    assert (seen.state, seen.failure) == ("failed", "line 7")
    assert [(step.name, step.state) for step in seen.steps] == [
        ("ExampleGen", "finished"),
        ("Transform", "failed"),
    ]
    assert seen.step("Transform").inputs == {"examples": "/somewhere"}


def test_a_run_whose_process_was_killed_is_seen_as_interrupted(tmp_path: Path) -> None:
    source = f"""
import os, signal
from pathlib import Path
from pipelines.run_record import RunRecord, RunRecorder, this_process
given = RunRecord.model_validate_json({record().model_dump_json()!r})
recorder = RunRecorder(Path({str(tmp_path)!r}), given.model_copy(update=this_process()))
recorder.step("Trainer", state="running")
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", source], check=False).returncode == -9
    (seen,) = read_runs(tmp_path)
    assert (seen.state, seen.step("Trainer").state) == ("interrupted", "interrupted")
    assert seen.seconds is None


def test_another_process_of_the_same_number_is_not_taken_for_the_run(tmp_path: Path) -> None:
    RunRecorder(tmp_path, record(process_began=psutil.Process().create_time() - 3600))
    assert read_runs(tmp_path)[0].state == "interrupted"


def test_half_a_record_is_passed_over(tmp_path: Path) -> None:
    RunRecorder(tmp_path, record())
    (tmp_path / "runs" / "half.json").write_text('{"id": "half", ')
    assert [seen.id for seen in read_runs(tmp_path)] == ["20260301T020000-7"]


def test_a_run_is_found_by_how_its_id_begins(tmp_path: Path) -> None:
    for days in range(3):
        RunRecorder(tmp_path, record(f"2026030{days + 1}T020000-7", began_at=BEGAN + timedelta(days=days)))
    assert find_run(tmp_path, "last").id == "20260303T020000-7"
    assert find_run(tmp_path, "20260302").id == "20260302T020000-7"
    with pytest.raises(MarqueeError, match="Several runs begin with '2026'"):
        find_run(tmp_path, "2026")
    with pytest.raises(MarqueeError, match=r"There is no run '1999'.*marquee runs list"):
        find_run(tmp_path, "1999")


def test_the_runs_of_a_release_begin_with_the_one_that_made_it(tmp_path: Path) -> None:
    for days, release in enumerate(["one", "two", "two"]):
        run = record(f"2026030{days + 1}T020000-7", began_at=BEGAN + timedelta(days=days))
        RunRecorder(tmp_path, run).end("finished", release=release)
    assert [run.id[:8] for run in release_runs(tmp_path, "two")] == ["20260302", "20260303"]


def test_a_step_is_expected_to_take_what_it_took_last(tmp_path: Path) -> None:
    for days, (name, seconds) in enumerate([("nightly", 50.0), ("nightly", 40.0), ("other", 9.0)]):
        run = record(f"2026030{days + 1}T020000-7", name=name, began_at=BEGAN + timedelta(days=days))
        RunRecorder(tmp_path, run).step("Trainer", state="finished", seconds=seconds)
    assert last_seconds(tmp_path, "nightly") == {"Trainer": 40.0}
