"""Keeping account of a run while it goes on."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines.config import PipelineConfig
from pipelines.run_record import RunRecord, RunRecorder, this_process
from pipelines.step_cache import StepAnswer, step_answers
from recommender.data.source_report import SourceReport
from recommender.errors import DataError, MarqueeError
from recommender.evaluation.result import Blessing, Evaluation
from recommender.push import Pushed, RunDescription
from recommender.training.report import TrainingReport


class RunAccount:
    """What is noted of a run, from its pipeline and from what its steps leave.

    Args:
        root: Absolute; where everything of it lives.
        pipeline: The Kubeflow pipeline that runs.
        steps: Its steps in their order.
    """

    def __init__(self, root: Path, pipeline: Any, steps: tuple[str, ...]) -> None:
        self._root, self._pipeline, self._steps = root, pipeline, steps
        self._recorder: RunRecorder | None = None

    def forget_from(self, start: str) -> None:
        """Make a step and those after it run, whatever the cache has.

        Raises:
            MarqueeError: a step before it would have to run, too.
        """
        answers = self._answers()
        before = self._steps[: self._steps.index(start)]
        missing = [step for step in before if answers[step].outputs is None]
        if missing:
            raise MarqueeError(
                f"--from {start}: {missing[0]} has to run before it, because the cache has nothing for this "
                "configuration, data and code. Run without --from, or with --until "
                f"{before[-1]} first."
            )
        for step in self._steps[len(before) :]:
            if (entry := answers[step].entry) is not None:
                entry.unlink(missing_ok=True)

    def begin(self, run_id: str, config: PipelineConfig, asked: Mapping[str, Any], log_file: Path) -> None:
        """Begin the record.

        Args:
            run_id: Names the record.
            config: The configuration.
            asked: Options of the command.
            log_file: Where everything printed goes.
        """
        inputs = self._pipeline.pipeline_spec.root.input_definitions.parameters
        run = RunDescription.model_validate_json(inputs["run"].default_value.string_value)
        self._recorder = RunRecorder(
            self._root,
            RunRecord(
                id=run_id,
                name=config.run.name,
                config=config.model_dump(mode="json"),
                asked=dict(asked),
                git_commit=run.git_commit,
                fingerprint=run.fingerprint,
                data_fingerprint=inputs["example_gen_fingerprint"].default_value.string_value,
                began_at=datetime.now(UTC),
                log=str(log_file),
                **this_process(),
            ),
        )

    def step(self, step: str, **values: Any) -> None:
        """Note what is new of a step."""
        if values.get("state") == "running":
            # Steps before this one have left in the cache by now what they made.
            self._settle()
            values["inputs"] = dict(self._answers()[step].inputs)
        self._record.step(step, **values)

    def fail(self, reason: str) -> None:
        """Note that a step failed."""
        self._settle()
        self._record.end("failed", failure=reason)

    def interrupt(self, error: BaseException) -> None:
        """Note that the run was stopped, unless it is known already how it ended."""
        if self._record.record.state == "running":
            self._settle()
            stopped = isinstance(error, KeyboardInterrupt | SystemExit)
            self._record.end("interrupted" if stopped else "failed", failure=None if stopped else str(error))

    def finish(self, made: Path) -> None:
        """Note what came of the run.

        Args:
            made: What the last step made.
        """
        self._settle()
        last = self._steps[-1]
        if last != "Pusher":
            self._record.end("finished")
            return
        self._record.step(last, outputs={"pushed": str(made)})
        pushed = Pushed.read(made)
        self._record.end(
            "finished" if pushed.version else "not released",
            release=pushed.version,
            forced=pushed.forced,
            verdict=pushed.reasons,
        )

    @property
    def _record(self) -> RunRecorder:
        assert self._recorder is not None, "the run has not begun"
        return self._recorder

    def _answers(self) -> dict[str, StepAnswer]:
        return {
            answer.step: answer
            for answer in step_answers(self._pipeline, self._steps, self._root / "artifacts")
        }

    def _settle(self) -> None:
        """Note where the finished steps left what they made, and what that says."""
        begun = {step.name for step in self._record.record.steps}
        made: dict[str, Path] = {}
        for step, answer in self._answers().items():
            if step in begun and answer.outputs is not None:
                self._record.step(step, inputs=dict(answer.inputs), outputs=dict(answer.outputs))
                made |= {name: Path(folder) for name, folder in answer.outputs.items()}
        try:
            self._record.update(**_told_by(made))
        except DataError:
            # What cannot be read is for the step that needs it to say.
            return


def _told_by(made: Mapping[str, Path]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if "examples" in made:
        source = SourceReport.read(made["examples"])
        told["dataset"] = source.source
        told["counts"] = {"ratings": source.n_ratings, "users": source.n_users, "movies": source.n_movies}
    if "model" in made:
        told["mlflow_run_id"] = TrainingReport.read(made["model"]).mlflow_run_id
    if "evaluation" in made:
        told["metrics"] = Evaluation.read(made["evaluation"]).means
    if "blessing" in made:
        told["verdict"] = Blessing.read(made["blessing"]).reasons
    return told
