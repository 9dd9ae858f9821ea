"""What a run leaves to be read later: what it was asked, what each step did, and what came of it."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

from recommender.errors import MarqueeError

RUNS: Final = "runs"
"""Folder of the records below the root."""

StepState = Literal["running", "finished", "from the cache", "failed", "interrupted"]
RunState = Literal["running", "finished", "not released", "failed", "interrupted"]


class StepRecord(BaseModel):
    """What one step did."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    """Such as `Trainer`."""
    state: StepState
    seconds: float | None = None
    """How long it took; None where the cache answered, or it did not end."""
    inputs: dict[str, str] = {}
    """Folders of what other steps had made for it, by the name of the artifact."""
    outputs: dict[str, str] = {}
    """Folders of what it made; those of an earlier run where the cache answered."""


class RunRecord(BaseModel):
    """One run, as `runs/<id>.json` keeps it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    id: str
    """When it began and the number of its process."""
    name: str
    """`run.name` of its configuration."""
    config: dict[str, Any]
    """The whole configuration."""
    asked: dict[str, Any] = {}
    """Options that say which steps run, such as `until`, where they were given."""
    git_commit: str | None
    """The commit of the code, if it is known."""
    fingerprint: str
    """Of everything that the run follows from: configuration, data and code."""
    data_fingerprint: str
    """Of the source of its ratings."""
    began_at: datetime
    ended_at: datetime | None = None
    process: int
    """The number of the process that runs it."""
    process_began: float
    """When that process began, to tell it from a later one of the same number."""
    state: RunState = "running"
    """As the run itself wrote it: read it from `as_seen`."""
    steps: tuple[StepRecord, ...] = ()
    """Those that began, in their order."""
    dataset: str | None = None
    """What a person calls the ratings, once they are read."""
    counts: dict[str, int] = {}
    """Of ratings, users and movies, once they are read."""
    metrics: dict[str, float] = {}
    """What was measured of the model, once it is judged."""
    verdict: tuple[str, ...] = ()
    """What the model was judged by."""
    mlflow_run_id: str | None = None
    """MLflow's id of the training, where it was tracked."""
    release: str | None = None
    """The version of the release that came of it."""
    forced: bool = False
    """Whether that was released though it was not blessed."""
    failure: str | None = None
    """Why it failed."""
    log: str
    """Everything that was printed."""

    @property
    def seconds(self) -> float | None:
        """How long it took; None where it did not end by itself."""
        return None if self.ended_at is None else (self.ended_at - self.began_at).total_seconds()

    def step(self, name: str) -> StepRecord | None:
        """One step; None where it did not begin."""
        return next((step for step in self.steps if step.name == name), None)

    def as_seen(self) -> "RunRecord":
        """The record as it is true now: a run whose process is gone was interrupted."""
        if self.state != "running" or _is_alive(self.process, self.process_began):
            return self
        steps = tuple(
            step.model_copy(update={"state": "interrupted"}) if step.state == "running" else step
            for step in self.steps
        )
        return self.model_copy(update={"state": "interrupted", "steps": steps})


class RunRecorder:
    """Keeps the record of a run on disk as the run goes on.

    Args:
        root: Below which the record is kept.
        record: What is known at the beginning.
    """

    def __init__(self, root: Path, record: RunRecord) -> None:
        self._file = root / RUNS / f"{record.id}.json"
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._written: str | None = None
        self.record = record
        self._write()

    def update(self, **values: Any) -> None:
        """Set fields of the record."""
        self.record = self.record.model_copy(update=values)
        self._write()

    def step(self, name: str, **values: Any) -> None:
        """Set fields of a step, which begins with that if it has not yet."""
        before = self.record.step(name) or StepRecord(name=name, state="running")
        changed = before.model_copy(update=values)
        others = [step for step in self.record.steps if step.name != name]
        place = next((i for i, step in enumerate(self.record.steps) if step.name == name), len(others))
        self.update(steps=(*others[:place], changed, *others[place:]))

    def end(self, state: RunState, **values: Any) -> None:
        """Say how the run ended; a step that is still running ended with it."""
        for step in self.record.steps:
            if step.state == "running":
                self.step(step.name, state="failed" if state == "failed" else "interrupted")
        self.update(state=state, ended_at=datetime.now(UTC), **values)

    def _write(self) -> None:
        text = self.record.model_dump_json(indent=2) + "\n"
        if text == self._written:
            return
        beside = self._file.with_name(f".{self._file.name}.new")
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._file)
        self._written = text


def this_process() -> dict[str, Any]:
    """The fields of a record that name this process."""
    process = psutil.Process()
    return {"process": process.pid, "process_began": process.create_time()}


def read_runs(root: Path) -> list[RunRecord]:
    """The records of all runs, newest first; one that cannot be read is passed over."""
    records = []
    for file in (root / RUNS).glob("*.json"):
        try:
            records.append(RunRecord.model_validate_json(file.read_bytes()).as_seen())
        except (OSError, ValidationError):
            continue
    return sorted(records, key=lambda record: (record.began_at, record.id), reverse=True)


def find_run(root: Path, run: str) -> RunRecord:
    """The record of one run.

    Args:
        root: Below which records are kept.
        run: Its id, the beginning of one, or `last`.

    Raises:
        MarqueeError: there is none, or several begin so.
    """
    records = read_runs(root)
    if run == "last" and records:
        return records[0]
    found = [record for record in records if record.id.startswith(run)]
    exact = [record for record in found if record.id == run]
    if len(exact or found) == 1:
        return (exact or found)[0]
    what = f"several runs begin with {run!r}" if found else f"there is no run {run!r}"
    raise MarqueeError(f"{what} in {root / RUNS}. `marquee runs list` names all of them.".capitalize())


def release_runs(root: Path, version: str) -> list[RunRecord]:
    """The runs that a release came of, oldest first: the first made it, later ones found it made."""
    return [record for record in reversed(read_runs(root)) if record.release == version]


def last_seconds(root: Path, name: str) -> Mapping[str, float]:
    """How long each step took when a run of that name last did it, by the name of the step."""
    seconds: dict[str, float] = {}
    for record in read_runs(root):
        if record.name == name:
            for step in record.steps:
                if step.seconds is not None:
                    seconds.setdefault(step.name, step.seconds)
    return seconds


def _is_alive(process: int, began: float) -> bool:
    try:
        return bool(abs(psutil.Process(process).create_time() - began) < 1.0)
    except psutil.Error:
        return False
