"""What a run would do, told without doing it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.config import PipelineConfig
from pipelines.movielens import STEPS, movielens_pipeline
from pipelines.run_record import last_seconds
from pipelines.step_cache import StepAnswer, step_answers


@dataclass(frozen=True)
class PlannedStep:
    """What would become of one step."""

    step: str
    runs: bool
    """Whether it would run; otherwise the cache would answer."""
    reason: str


@dataclass(frozen=True)
class RunPlan:
    """What would become of a run."""

    steps: tuple[PlannedStep, ...]
    unknown: tuple[str, ...]
    """What cannot be told beforehand, a sentence each."""


def plan_run(
    config: PipelineConfig, root: Path, until: str = "Pusher", *, start: str | None = None
) -> RunPlan:
    """Tell which steps would run.

    Args:
        config: What the steps do.
        root: Downloads, artifacts, logs, tracking and releases live here.
        until: The last step.
        start: The first step that runs whatever the cache has.

    Raises:
        ConfigurationError: the file of a committed schema is missing.
        DataError: the files to read are missing.
    """
    root = root.resolve()
    order = tuple(STEPS)[: tuple(STEPS).index(until) + 1]
    answers = step_answers(movielens_pipeline(config, root, until), order, root / "artifacts")
    took = last_seconds(root, config.run.name)
    planned: dict[str, PlannedStep] = {}
    asked_for = frozenset() if start is None else frozenset(order[order.index(start) :])
    for answer in answers:
        reason = _reason_to_run(answer, asked_for, planned)
        runs = reason is not None
        if reason is None:
            reason = next(iter((answer.outputs or {}).values()), "")
        if runs and start is not None and answer.step not in asked_for:
            reason += f"; --from {start} would end here"
        if runs and answer.step in took:
            reason += f"; took {took[answer.step]:.0f} s last time"
        planned[answer.step] = PlannedStep(answer.step, runs, reason)
    unknown = []
    if until == "Pusher" and planned["Evaluator"].runs:
        unknown.append("Whether the model would be released is not known before Evaluator has judged it.")
    if any(step.runs and step.step not in took for step in planned.values()):
        unknown.append("How long steps take that no run of this name has done before is not known.")
    return RunPlan(tuple(planned.values()), tuple(unknown))


def _reason_to_run(
    answer: StepAnswer, asked_for: frozenset[str], planned: Mapping[str, PlannedStep]
) -> str | None:
    """Why a step would run; None where the cache would answer."""
    if answer.step in asked_for:
        return "asked for by --from or --only"
    if not answer.is_cached:
        return "it always looks at what is live"
    if answer.outputs is not None:
        return None
    before = [step for step in planned if step in answer.needs and planned[step].runs]
    if before:
        return f"{before[-1]} would run before it"
    return "the cache has nothing for this configuration, data and code"
