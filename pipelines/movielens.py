"""The pipeline: eleven steps from raw files to a live release."""

import os
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
from components.schema_gen import schema_gen
from components.statistics_gen import statistics_gen
from components.trainer import trainer
from components.transform import transform
from components.tuner import tuner
from pipelines.config import PipelineConfig
from pipelines.source_digest import git_commit, source_digest
from recommender.data.sources import fingerprint
from recommender.push import RunDescription
from recommender.training.configuration import Tracking

STEPS = (
    "ExampleGen",
    "StatisticsGen",
    "SchemaGen",
    "ExampleValidator",
    "Transform",
    "Tuner",
    "Trainer",
    "Evaluator",
    "BulkInferrer",
    "Indexer",
    "Pusher",
)
"""The steps in the order in which they can run."""


def movielens_pipeline(config: PipelineConfig, root: Path) -> Any:
    """Assemble the pipeline.

    Args:
        config: What the steps do; each section becomes a parameter of the pipeline, as JSON.
        root: Absolute; where downloads, tracking and releases live. `MLFLOW_TRACKING_URI` names a tracking
            server instead.

    Returns:
        A Kubeflow pipeline, to be called where it runs locally, or to be compiled. Its output is what came
        of the run, a `Pushed`.
    """
    server = os.environ.get("MLFLOW_TRACKING_URI")
    tracking = Tracking(
        experiment=config.run.name,
        mlflow_uri=server or f"sqlite:///{root / 'mlflow.db'}",
        mlflow_artifacts=None if server else (root / "mlflow").as_uri(),
        tensorboard=str(root / "tensorboard"),
    )
    run_description = RunDescription(
        config=config.model_dump(mode="json"), seed=config.run.seed, git_commit=git_commit()
    )
    digest = source_digest()

    @dsl.pipeline(name=config.run.name, description="From ratings to a live release of recommendations.")
    def pipeline(
        seed: int = config.run.seed,
        example_gen_config: str = config.example_gen.model_dump_json(),
        example_gen_fingerprint: str = fingerprint(config.example_gen),
        transform_config: str = config.transform.model_dump_json(),
        tuner_config: str = config.tuner.model_dump_json(),
        trainer_config: str = config.trainer.model_dump_json(),
        evaluator_config: str = config.evaluator.model_dump_json(),
        bulk_inferrer_config: str = config.bulk_inferrer.model_dump_json(),
        indexer_config: str = config.indexer.model_dump_json(),
        run: str = run_description.model_dump_json(),
        tracking: str = tracking.model_dump_json(),
        downloads: str = str(root / "downloads"),
        trials: str = str(root / "trials"),
        releases: str = str(root / "releases"),
    ) -> Artifact:
        raw = example_gen(config=example_gen_config, fingerprint=example_gen_fingerprint, downloads=downloads)
        examples = raw.outputs["examples"]
        statistics = statistics_gen(examples=examples)
        schema = schema_gen(examples=examples).after(statistics)
        validated = example_validator(examples=examples, schema=schema.outputs["schema"])
        transformed = transform(config=transform_config, seed=seed, examples=examples).after(validated)
        transformed_examples = transformed.outputs["transformed_examples"]
        tuned = tuner(
            config=tuner_config,
            trainer_config=trainer_config,
            seed=seed,
            trials=trials,
            transformed_examples=transformed_examples,
        )
        trained = trainer(
            seed=seed,
            tracking=tracking,
            transformed_examples=transformed_examples,
            hyperparameters=tuned.outputs["hyperparameters"],
        )
        model = trained.outputs["model"]
        evaluated = evaluator(
            config=evaluator_config, seed=seed, transformed_examples=transformed_examples, model=model
        )
        inferred = bulk_inferrer(
            config=bulk_inferrer_config,
            examples=examples,
            transformed_examples=transformed_examples,
            model=model,
        )
        embeddings = inferred.outputs["embeddings"]
        indexed = indexer(config=indexer_config, embeddings=embeddings)
        pushed = pusher(
            run=run,
            releases=releases,
            examples=examples,
            transformed_examples=transformed_examples,
            model=model,
            evaluation=evaluated.outputs["evaluation"],
            blessing=evaluated.outputs["blessing"],
            embeddings=embeddings,
            vector_index=indexed.outputs["vector_index"],
        )
        # The cache cannot see whether the release is still there, or still the live one.
        pushed.set_caching_options(enable_caching=False)
        tasks = (raw, statistics, schema, validated, transformed, tuned, trained, evaluated, inferred)
        for task, name in zip((*tasks, indexed, pushed), STEPS, strict=True):
            task.set_display_name(name)
            task.set_env_variable("MARQUEE_SOURCE_DIGEST", digest)
        return pushed.outputs["pushed"]

    return pipeline
