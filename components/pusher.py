"""Pusher: a blessed model becomes the live release."""

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Metrics, Model, Output


@dsl.component(base_image="marquee-python:0.1", install_kfp_package=False)
def pusher(
    run: str,
    releases: str,
    examples: Input[Dataset],
    transformed_examples: Input[Dataset],
    model: Input[Model],
    evaluation: Input[Metrics],
    blessing: Input[Artifact],
    embeddings: Input[Dataset],
    vector_index: Input[Artifact],
    pushed: Output[Artifact],
    tracking: str = "{}",
    force: bool = False,
) -> None:
    """Write a release and make it the live one; nothing where the model is not blessed.

    Args:
        run: `RunDescription` as JSON: what the manifest says of the run.
        releases: Folder of all releases.
        examples: From ExampleGen.
        transformed_examples: From Transform.
        model: From Trainer.
        evaluation: From Evaluator.
        blessing: From Evaluator.
        embeddings: From BulkInferrer.
        vector_index: From Indexer.
        pushed: Gets `pushed.json`: the version, or why there is none.
        tracking: `Tracking` as JSON: the model registry that follows is the one beside the training runs.
        force: Release a model that is not blessed, too; the manifest says so.
    """
    from pathlib import Path

    from recommender.model_registry import register_model
    from recommender.push import RunDescription, push
    from recommender.step import step
    from recommender.training.configuration import Tracking

    with step():
        done = push(
            RunDescription.model_validate_json(run),
            releases=Path(releases),
            examples=Path(examples.path),
            transformed=Path(transformed_examples.path),
            model=Path(model.path),
            evaluation=Path(evaluation.path),
            blessing=Path(blessing.path),
            embeddings=Path(embeddings.path),
            index=Path(vector_index.path),
            output=Path(pushed.path),
            force=force,
        )
        register_model(
            Tracking.model_validate_json(tracking),
            Path(releases),
            Path(model.path),
            Path(evaluation.path),
            done,
        )
