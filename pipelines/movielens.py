"""The pipeline: eleven steps from raw files to a live release; on a cluster one more finds what is live."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kfp import dsl
from kfp.dsl import Artifact

from components.bulk_inferrer import bulk_inferrer
from components.evaluator import evaluator
from components.example_gen import example_gen
from components.example_validator import example_validator
from components.indexer import indexer
from components.pusher import pusher
from components.resolver import resolver
from components.schema_gen import schema_gen
from components.statistics_gen import statistics_gen
from components.trainer import trainer
from components.transform import transform
from components.tuner import tuner
from pipelines.cluster import place
from pipelines.config import PipelineConfig
from pipelines.live_release import compared_with, run_fingerprint
from pipelines.source_digest import git_commit, source_digest
from pipelines.tracking_server import tracking_database, tracking_server
from recommender.data.sources import can_change, fingerprint
from recommender.push import RunDescription
from recommender.training.configuration import Tracking

STEPS = {
    "ExampleGen": "examples",
    "StatisticsGen": "statistics",
    "SchemaGen": "schema",
    "ExampleValidator": "validated_examples",
    "Transform": "transformed_examples",
    "Tuner": "hyperparameters",
    "Trainer": "model",
    "Evaluator": "evaluation",
    "BulkInferrer": "embeddings",
    "Indexer": "vector_index",
    "Pusher": "pushed",
}
"""The steps in the order in which they can run, each with the output that it is run for."""


def movielens_pipeline(
    config: PipelineConfig,
    root: Path,
    until: str = "Pusher",
    *,
    force: bool = False,
    on_cluster: bool = False,
) -> Any:
    """Assemble the pipeline, or its beginning.

    Args:
        config: What the steps do; each section becomes a parameter of the pipeline, as JSON.
        root: Absolute; where downloads, tracking and releases live. `MLFLOW_TRACKING_URI` names a tracking
            server instead.
        until: The last step.
        force: Release the model even where it is not blessed.
        on_cluster: Whether the steps get what `config.cluster` gives them, and find out by themselves what is
            only known where and when they run: what is live, and what a source that can change holds then.

    Returns:
        A Kubeflow pipeline, to be called where it runs locally, or to be compiled. Its output is that of the
        last step; a whole run's is a `Pushed`.

    Raises:
        ConfigurationError: the file of a committed schema is missing.
        DataError: the files to read are missing.
        ReleaseError: it cannot be told which release is live.
    """
    server = tracking_server()
    tracking = Tracking(
        experiment=config.run.name,
        mlflow_uri=server or f"sqlite:///{tracking_database(root)}",
        mlflow_artifacts=None if server else (root / "mlflow").as_uri(),
        tensorboard=str(root / "tensorboard"),
        profile=config.run.profile,
    )
    digest = source_digest()
    is_known = not (on_cluster and can_change(config.example_gen))
    data = fingerprint(config.example_gen) if is_known else ""
    committed = config.schema_gen.committed()
    followed_from = run_fingerprint(config.model_dump_json(exclude={"cluster"}), data, committed, digest)
    run_description = RunDescription(
        config=config.model_dump(mode="json"),
        seed=config.run.seed,
        git_commit=git_commit(),
        fingerprint=followed_from,
    )

    @dsl.pipeline(name=config.run.name, description="From ratings to a live release of recommendations.")
    def pipeline(
        seed: int = config.run.seed,
        example_gen_config: str = config.example_gen.model_dump_json(),
        example_gen_fingerprint: str = data,
        engine: str = config.engine.model_dump_json(),
        committed_schema: str = committed,
        validation_config: str = config.validation.model_dump_json(),
        quarantine: bool = config.validation.quarantine,
        transform_config: str = config.transform.model_dump_json(),
        tuner_config: str = config.tuner.model_dump_json(),
        trainer_config: str = config.trainer.model_dump_json(),
        evaluator_config: str = config.evaluator.model_dump_json(),
        bulk_inferrer_config: str = config.bulk_inferrer.model_dump_json(),
        indexer_config: str = config.indexer.model_dump_json(),
        run: str = run_description.model_dump_json(),
        tracking: str = tracking.model_dump_json(),
        downloads: str = str(root / "downloads"),
        previous_statistics: str = str(root / "statistics" / config.run.name),
        trials: str = str(root / "trials"),
        unfinished_training: str = str(root / "training"),
        releases: str = str(root / "releases"),
        live: str = "" if on_cluster else compared_with(root / "releases", followed_from),
        force_release: bool = force,
    ) -> Artifact:
        made: dict[str, Any] = {}

        def placed(task: Any, step: str) -> Any:
            task.set_display_name(step)
            task.set_env_variable("MARQUEE_SOURCE_DIGEST", digest)
            if on_cluster:
                place(task, step, config.cluster, root)
            return task

        def compared() -> Any:
            if not on_cluster:
                return live
            found = resolver(named=live, releases=releases)
            return placed(found, "Resolver").set_caching_options(enable_caching=False).output

        # Assembled one after the other, so that nothing that comes after the last step is.
        steps: dict[str, Callable[[], Any]] = {
            "ExampleGen": lambda: example_gen(
                config=example_gen_config,
                engine=engine,
                quarantine=quarantine,
                fingerprint=example_gen_fingerprint,
                downloads=downloads,
            ),
            "StatisticsGen": lambda: statistics_gen(engine=engine, examples=made["examples"]),
            "SchemaGen": lambda: schema_gen(
                committed=committed_schema, engine=engine, examples=made["examples"]
            ),
            "ExampleValidator": lambda: example_validator(
                config=validation_config,
                engine=engine,
                previous=previous_statistics,
                examples=made["examples"],
                statistics=made["statistics"],
                schema=made["schema"],
            ),
            "Transform": lambda: transform(
                config=transform_config, engine=engine, seed=seed, examples=made["validated_examples"]
            ),
            "Tuner": lambda: tuner(
                config=tuner_config,
                trainer_config=trainer_config,
                seed=seed,
                trials=trials,
                transformed_examples=made["transformed_examples"],
            ),
            "Trainer": lambda: trainer(
                seed=seed,
                tracking=tracking,
                unfinished=unfinished_training,
                transformed_examples=made["transformed_examples"],
                hyperparameters=made["hyperparameters"],
            ),
            "Evaluator": lambda: evaluator(
                config=evaluator_config,
                seed=seed,
                live=compared(),
                tracking=tracking,
                transformed_examples=made["transformed_examples"],
                model=made["model"],
            ),
            "BulkInferrer": lambda: bulk_inferrer(
                config=bulk_inferrer_config,
                examples=made["validated_examples"],
                transformed_examples=made["transformed_examples"],
                model=made["model"],
            ),
            "Indexer": lambda: indexer(config=indexer_config, embeddings=made["embeddings"]),
            # The cache cannot see whether the release is still there, or still the live one.
            "Pusher": lambda: pusher(
                run=run,
                releases=releases,
                examples=made["validated_examples"],
                transformed_examples=made["transformed_examples"],
                model=made["model"],
                evaluation=made["evaluation"],
                blessing=made["blessing"],
                embeddings=made["embeddings"],
                vector_index=made["vector_index"],
                tracking=tracking,
                force=force_release,
            ).set_caching_options(enable_caching=False),
        }
        before = None
        for step, assemble in steps.items():
            task = placed(assemble(), step)
            if before is not None and not on_cluster:
                # `--from` and `--until` count by the order of STEPS. A cluster runs side by side what it can.
                task.after(before)
            before = task
            if step == "ExampleGen" and not is_known:
                task.set_caching_options(enable_caching=False)
            made.update(task.outputs)
            if step == until:
                break
        return made[STEPS[until]]

    return pipeline
