"""What steps get from the cluster that runs them: what is given, what is kept, what is compiled."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler

from pipelines.cluster import ClusterConfig
from pipelines.config import PipelineConfig, read_config
from pipelines.movielens import STEPS, movielens_pipeline
from recommender.errors import ConfigurationError

GIVEN = """
cluster:
  image: registry.example/steps:3
  volume: ours
  database_secret: database
  trainer:
    image: registry.example/gpu:3
    cpu: 7.5
    memory: 30Gi
    accelerator: nvidia.com/gpu
    accelerators: 2
  transform: {caching: false}
  indexer: {retries: 5, retry_seconds: 10}
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """The pipeline of `GIVEN`, and what of it only Kubernetes has."""
    folder = tmp_path_factory.mktemp("compiled")
    (folder / "given.yaml").write_text(GIVEN)
    pipeline = movielens_pipeline(read_config(folder / "given.yaml"), Path("/shared"), on_cluster=True)
    compiler.Compiler().compile(pipeline, str(folder / "pipeline.yaml"))
    pipeline_document, platform_document = yaml.safe_load_all((folder / "pipeline.yaml").read_text())
    return pipeline_document, platform_document["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


def container_of(pipeline: dict[str, Any], step: str) -> dict[str, Any]:
    return pipeline["deploymentSpec"]["executors"][f"exec-{step}"]["container"]


def test_a_field_that_is_not_given_keeps_the_default_of_its_step():
    config = ClusterConfig.from_mapping({"trainer": {"cpu": 16}, "example_validator": {"memory": "1Gi"}})
    assert (config.trainer.cpu, config.trainer.memory) == (16.0, "12Gi")
    assert (config.example_validator.memory, config.example_validator.retries) == ("1Gi", 0)
    assert ClusterConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("cluster.trainr.cpu=1", r"cluster\.trainr: there is no such key; known here: .*trainer"),
        ("cluster.trainer.cpus=1", r"cluster\.trainer\.cpus: there is no such key; known here: .*cpu"),
        ("cluster.trainer.cpu=0", r"cluster\.trainer\.cpu: .*greater than 0"),
        ("cluster.trainer.memory=16", r"cluster\.trainer\.memory: .*got 16"),
        ("cluster.trainer.memory=16GB", r"cluster\.trainer\.memory: .*got '16GB'"),
        ("cluster.trainer=8", r"cluster\.trainer: .*got 8"),
        ("cluster.pusher.retries=-1", r"cluster\.pusher\.retries: .*got -1"),
    ],
)
def test_what_no_step_can_get_is_refused_with_its_path(override, said):
    with pytest.raises(ConfigurationError, match=said):
        read_config(Path("ml-100k"), [override])


def test_each_step_gets_an_image_and_as_much_as_is_kept_for_it(compiled):
    pipeline, _ = compiled
    executors = pipeline["deploymentSpec"]["executors"]
    assert len(executors) == len({*STEPS, "Resolver"})
    for name, executor in executors.items():
        given = executor["container"]
        expected = "registry.example/gpu:3" if name == "exec-trainer" else "registry.example/steps:3"
        assert given["image"] == expected
        resources = given["resources"]
        assert resources["resourceCpuRequest"] == resources["resourceCpuLimit"]
        assert resources["resourceMemoryRequest"] == resources["resourceMemoryLimit"]
    trainer = container_of(pipeline, "trainer")["resources"]
    assert (trainer["resourceCpuLimit"], trainer["resourceMemoryLimit"]) == ("7.5", "30Gi")
    assert trainer["accelerator"]["resourceType"] == "nvidia.com/gpu"
    assert trainer["accelerator"]["resourceCount"] == "2"
    assert "accelerator" not in container_of(pipeline, "evaluator")["resources"]


def test_each_step_is_retried_and_cached_as_configured(compiled):
    tasks = compiled[0]["root"]["dag"]["tasks"]
    retried = tasks["indexer"]["retryPolicy"]
    assert (retried["maxRetryCount"], retried["backoffDuration"], retried["backoffFactor"]) == (5, "10s", 2.0)
    assert "retryPolicy" not in tasks["example-validator"]
    cached = {name for name, task in tasks.items() if task["cachingOptions"].get("enableCache")}
    assert cached == tasks.keys() - {"transform", "resolver", "pusher"}


@pytest.mark.parametrize(
    "overrides",
    [
        ["example_gen.source=directory", "example_gen.path=/only/on/the/volume"],
        ["example_gen.collected=postgresql+psycopg://marquee@nowhere/ratings"],
    ],
)
def test_a_source_that_can_change_is_looked_at_where_and_when_the_pipeline_runs(tmp_path, overrides):
    pipeline = movielens_pipeline(read_config(Path("ml-100k"), overrides), tmp_path, on_cluster=True)
    compiler.Compiler().compile(pipeline, str(tmp_path / "pipeline.yaml"))
    specification, _ = yaml.safe_load_all((tmp_path / "pipeline.yaml").read_text())
    tasks = specification["root"]["dag"]["tasks"]
    cached = {name for name, task in tasks.items() if task["cachingOptions"].get("enableCache")}
    assert cached == tasks.keys() - {"example-gen", "resolver", "pusher"}


def test_each_step_mounts_the_volume_and_only_who_needs_it_the_password(compiled):
    _, on_kubernetes = compiled
    assert len(on_kubernetes) == len({*STEPS, "Resolver"})
    for executor in on_kubernetes.values():
        (mount,) = executor["pvcMount"]
        assert (mount["constant"], mount["mountPath"]) == ("ours", "/shared")
    assert [name for name, executor in on_kubernetes.items() if "secretAsEnv" in executor] == [
        "exec-example-gen"
    ]


def test_where_steps_run_makes_no_other_run(tmp_path):
    def fingerprint(config: PipelineConfig) -> str:
        compiler.Compiler().compile(movielens_pipeline(config, tmp_path), str(tmp_path / "pipeline.yaml"))
        parameters = yaml.safe_load((tmp_path / "pipeline.yaml").read_text())["root"]["inputDefinitions"]
        run = yaml.safe_load(parameters["parameters"]["run"]["defaultValue"])
        return run["fingerprint"]

    plain = fingerprint(PipelineConfig())
    assert fingerprint(read_config(Path("ml-100k"))) != plain
    assert fingerprint(PipelineConfig(cluster=ClusterConfig(image="another:1"))) == plain
