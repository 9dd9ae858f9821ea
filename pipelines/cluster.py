"""What each step of a compiled pipeline gets from the cluster that runs it."""

import re
from pathlib import Path
from typing import Any, Final

from pydantic import Field, model_validator

from recommender.configuration import Configuration

_RETRY_FACTOR: Final = 2.0


class StepOnCluster(Configuration):
    """What one step gets."""

    image: str | None = Field(default=None, min_length=1)
    """The image it runs in; `cluster.image` if none."""
    cpu: float = Field(default=2.0, gt=0)
    """Cores that are kept for it and that it may use."""
    memory: str = Field(default="4Gi", pattern=r"^[1-9]\d*(M|G|T|Mi|Gi|Ti)$")
    """Memory that is kept for it, such as `8Gi`; with more it is killed. Steps that compute tables need more
    than `engine.memory_limit`."""
    accelerator: str | None = Field(default=None, min_length=1)
    """A kind of accelerator, as the cluster calls it: `nvidia.com/gpu`."""
    accelerators: int = Field(default=1, ge=1)
    """How many of these."""
    retries: int = Field(default=2, ge=0)
    """How often it is started again after it failed."""
    retry_seconds: int = Field(default=60, ge=0)
    """How long to wait before the first time; twice as long before each further one."""
    caching: bool = True
    """Whether what it made of the same input before may answer for it. Never for Resolver and Pusher, nor for
    ExampleGen where its source can change: files of your own, and ratings that a service collects."""


class ClusterConfig(Configuration):
    """What the steps of a pipeline that `marquee compile` writes get from the cluster that runs it.

    `marquee run` runs them as they are. A step's field that is not given keeps the step's own default, which
    is made for 25 million ratings.
    """

    image: str = Field(default="marquee-python:0.1", min_length=1)
    """The image that steps run in: what `docker build --target steps` makes."""
    volume: str = Field(default="marquee", min_length=1)
    """The persistent volume claim with downloads, tracking and releases. Every step mounts it at the `--root`
    of `marquee compile`."""
    database_secret: str | None = Field(default=None, min_length=1)
    """A secret whose `PGPASSWORD` lets ExampleGen read collected ratings from PostgreSQL."""
    example_gen: StepOnCluster = StepOnCluster()
    """Fetches and parses ratings."""
    statistics_gen: StepOnCluster = StepOnCluster()
    """Counts them."""
    schema_gen: StepOnCluster = StepOnCluster(cpu=1.0, memory="2Gi")
    """Infers a schema."""
    example_validator: StepOnCluster = StepOnCluster(retries=0)
    """Checks every rating; bad ones do not become better."""
    transform: StepOnCluster = StepOnCluster()
    """Splits and computes features."""
    tuner: StepOnCluster = StepOnCluster(cpu=4.0, memory="12Gi")
    """Trains many times where hyperparameters are searched."""
    trainer: StepOnCluster = StepOnCluster(cpu=4.0, memory="12Gi")
    """Trains; started again, it goes on from its last epoch."""
    resolver: StepOnCluster = StepOnCluster(cpu=0.5, memory="1Gi")
    """Finds what is live, for the Evaluator to compare with."""
    evaluator: StepOnCluster = StepOnCluster(cpu=4.0, memory="8Gi")
    """Ranks the whole catalogue for every user, and fits the baselines."""
    bulk_inferrer: StepOnCluster = StepOnCluster(cpu=4.0, memory="8Gi")
    """Computes every vector and everybody's recommendations."""
    indexer: StepOnCluster = StepOnCluster()
    """Builds the index."""
    pusher: StepOnCluster = StepOnCluster(cpu=1.0, memory="2Gi")
    """Writes the release."""

    @model_validator(mode="before")
    @classmethod
    def _keep_what_is_not_given(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        defaults = {name: field.default for name, field in cls.model_fields.items()}
        return {
            name: {**defaults[name].model_dump(), **value}
            if isinstance(defaults.get(name), StepOnCluster) and isinstance(value, dict)
            else value
            for name, value in given.items()
        }


def place(task: Any, step: str, cluster: ClusterConfig, root: Path) -> None:
    """Write down what a step gets.

    Args:
        task: of a Kubeflow pipeline that is being assembled.
        step: its name, such as `ExampleGen`.
        cluster: what each step gets.
        root: where the volume is mounted.
    """
    from kfp import kubernetes

    wanted: StepOnCluster = getattr(cluster, re.sub(r"(?<=[a-z])(?=[A-Z])", "_", step).lower())
    task.set_container_image(wanted.image or cluster.image)
    cores = f"{wanted.cpu:g}"
    task.set_cpu_request(cores).set_cpu_limit(cores)
    task.set_memory_request(wanted.memory).set_memory_limit(wanted.memory)
    if wanted.accelerator is not None:
        task.set_accelerator_type(wanted.accelerator).set_accelerator_limit(wanted.accelerators)
    if wanted.retries:
        task.set_retry(wanted.retries, f"{wanted.retry_seconds}s", _RETRY_FACTOR)
    if not wanted.caching:
        task.set_caching_options(enable_caching=False)
    # Workers of a Spark cluster answer a step where they can reach it, which is not by its name.
    kubernetes.use_field_path_as_env(task, "SPARK_LOCAL_HOSTNAME", "status.podIP")
    kubernetes.mount_pvc(task, pvc_name=cluster.volume, mount_path=str(root))
    if cluster.database_secret is not None and step == "ExampleGen":
        kubernetes.use_secret_as_env(task, cluster.database_secret, {"PGPASSWORD": "PGPASSWORD"})
