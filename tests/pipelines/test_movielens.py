"""The order in which the steps of the pipeline run."""

from collections.abc import Mapping
from typing import Any

from kfp.local.graph_utils import topological_sort_tasks

from pipelines.config import PipelineConfig
from pipelines.movielens import STEPS, movielens_pipeline


def tasks_of(pipeline: Any) -> Mapping[str, Any]:
    return pipeline.pipeline_spec.root.dag.tasks


def test_on_one_machine_steps_run_in_the_order_that_from_and_until_count_by(tmp_path):
    tasks = tasks_of(movielens_pipeline(PipelineConfig(), tmp_path))
    order = [tasks[name].task_info.name for name in reversed(topological_sort_tasks(tasks))]
    assert order == list(STEPS)


def test_on_a_cluster_steps_that_do_not_need_each_other_run_side_by_side(tmp_path):
    tasks = tasks_of(movielens_pipeline(PipelineConfig(), tmp_path, on_cluster=True))
    assert set(tasks["evaluator"].dependent_tasks) == {"resolver", "trainer", "transform"}
    assert "evaluator" not in tasks["bulk-inferrer"].dependent_tasks
