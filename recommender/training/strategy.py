"""Training on several devices or several machines."""

from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from recommender.errors import TrainingError
from recommender.features.shard import ONE_WORKER, Shard
from recommender.training.checkpoint import WorkerFolders
from recommender.training.configuration import TrainerConfig


def make_strategy(config: TrainerConfig) -> tf.distribute.Strategy:
    """What `trainer.strategy` asks for.

    Every device, called a replica, computes its own loss from its own batch of `batch_size`: with a sampled
    loss, the negatives of a rating are those of its replica's batch, not those of all. Gradients are summed
    over all replicas before they are clipped and applied, so weights stay the same everywhere.

    With `multi_worker` this has to be called before TensorFlow has computed anything. It waits until all
    workers that `TF_CONFIG` names are there.
    """
    if config.strategy == "multi_worker":
        return tf.distribute.MultiWorkerMirroredStrategy()
    if config.strategy == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    return tf.distribute.get_strategy()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this worker is the one that writes and reports; so is one that is alone."""
    resolver = strategy.cluster_resolver
    return resolver is None or resolver.task_type in (None, "chief") or _first_of_workers(resolver)


def _first_of_workers(resolver: tf.distribute.cluster_resolver.ClusterResolver) -> bool:
    return resolver.task_id == 0 and "chief" not in resolver.cluster_spec().jobs


def of_workers(folder: Path, strategy: tf.distribute.Strategy) -> Path | WorkerFolders:
    """The folder itself, or where there are several workers a folder below it for each."""
    resolver = strategy.cluster_resolver
    if resolver is None or resolver.task_type is None:
        return folder
    jobs = resolver.cluster_spec().as_dict()
    workers = [f"{job}-{index}" for job in ("chief", "worker") for index in range(len(jobs.get(job, ())))]
    return WorkerFolders(
        tuple(folder / worker for worker in workers),
        workers.index(f"{resolver.task_type}-{resolver.task_id}"),
    )


def shared_out(
    make_batches: Callable[[Shard], tf.data.Dataset], strategy: tf.distribute.Strategy
) -> tuple[tf.data.Dataset, int]:
    """The batches of all replicas of this worker, and the steps of an epoch.

    Args:
        make_batches: From a worker's share to its batches, one epoch each time they are gone through.
        strategy: Whose replicas.

    Returns:
        What `fit` takes as data and as `steps_per_epoch`.

    Raises:
        TrainingError: there are fewer batches than replicas on this worker.
    """
    if strategy.num_replicas_in_sync == 1:
        batches = make_batches(ONE_WORKER)
        return batches, len(batches)
    steps = 0

    def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        nonlocal steps
        batches = make_batches(Shard.of(context))
        replicas = context.num_replicas_in_sync // context.num_input_pipelines
        steps = len(batches) // replicas
        if not steps:
            raise TrainingError(
                f"{len(batches)} batches an epoch cannot be shared among {replicas} devices: lower "
                "trainer.batch_size."
            )
        return batches.take(steps * replicas).repeat()

    return strategy.distribute_datasets_from_function(of_worker), steps
