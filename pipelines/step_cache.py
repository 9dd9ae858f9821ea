"""Which steps of a pipeline the cache of `kfp.local` answers, told without running any."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kfp.local import io
from kfp.local.cache import LocalCache
from kfp.local.orchestrator.orchestrator_utils import OrchestratorUtils
from kfp.local.utils import struct_to_executor_spec


@dataclass(frozen=True)
class StepAnswer:
    """What is known of one step before it runs."""

    step: str
    """Such as `Trainer`."""
    needs: tuple[str, ...]
    """The steps whose outputs it takes."""
    is_cached: bool
    """Whether the cache is asked at all."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Folders of the artifacts it takes, as far as they are there."""
    outputs: Mapping[str, str] | None = None
    """Folders of the artifacts that the cache answers with; None where the step has to run."""
    entry: Path | None = None
    """The file of the cache that answers."""


def step_answers(pipeline: Any, steps: Sequence[str], artifacts: Path) -> list[StepAnswer]:
    """Ask the cache about each step, as `kfp.local` would.

    The key of a step covers its arguments, the addresses of its inputs, its source and its variables, so one
    whose input has yet to be made is never answered.

    Args:
        pipeline: A Kubeflow pipeline without control flow.
        steps: Display names of its steps, in an order in which they can run.
        artifacts: The folder of artifacts, which the cache lies in.
    """
    specification = pipeline.pipeline_spec
    tasks = {task.task_info.name: (name, task) for name, task in specification.root.dag.tasks.items()}
    display = {name: step for step, (name, _) in tasks.items()}
    known = io.IOStore()
    arguments = OrchestratorUtils.join_user_inputs_and_defaults({}, specification.root.input_definitions)
    for name, value in arguments.items():
        known.put_parent_input(name, value)
    cache = LocalCache(str(artifacts / ".kfp_cache")) if artifacts.is_dir() else None
    answers: dict[str, StepAnswer] = {}
    for step in steps:
        name, task = tasks[step]
        artifact_inputs = {key: given.task_output_artifact for key, given in task.inputs.artifacts.items()}
        needs = tuple(dict.fromkeys(display[given.producer_task] for given in artifact_inputs.values()))
        inputs = {
            key: outputs[given.output_artifact_key]
            for key, given in artifact_inputs.items()
            if (outputs := answers[display[given.producer_task]].outputs) is not None
        }
        is_cached = bool(task.caching_options.enable_cache)
        found, entry = None, None
        if cache is not None and is_cached and len(inputs) == len(artifact_inputs):
            key = _key(cache, specification, task, known)
            found, entry = cache.get(key), artifacts / ".kfp_cache" / f"{key}.json"
        outputs = None
        if found is not None:
            outputs = {key: str(artifact.uri) for key, artifact in found.items()}
            for key, artifact in found.items():
                known.put_task_output(name, key, artifact)
        answers[step] = StepAnswer(
            step, needs, is_cached, inputs, outputs, entry if outputs is not None else None
        )
    return list(answers.values())


def _key(cache: LocalCache, specification: Any, task: Any, known: io.IOStore) -> str:
    component = specification.components[task.component_ref.name]
    container = struct_to_executor_spec(
        specification.deployment_spec["executors"][component.executor_label]
    ).container
    return str(
        cache.compute_key(
            component_name=task.component_ref.name,
            image=container.image,
            full_command=[*container.command, *container.args],
            arguments=OrchestratorUtils.make_task_arguments(task.inputs, known),
            env_vars={variable.name: variable.value for variable in container.env},
            custom_cache_key=task.caching_options.cache_key or None,
        )
    )
