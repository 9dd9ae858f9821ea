"""Trainer: fit the two towers and the ranking head."""

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Model, Output


@dsl.component(base_image="marquee-python:0.1", install_kfp_package=False)
def trainer(
    seed: int,
    tracking: str,
    transformed_examples: Input[Dataset],
    hyperparameters: Input[Artifact],
    model: Output[Model],
    unfinished: str = "",
) -> None:
    """Train with TensorFlow Recommenders, report to MLflow and TensorBoard.

    Args:
        seed: Of initial weights, dropout and order.
        tracking: `Tracking` as JSON.
        transformed_examples: From Transform.
        hyperparameters: From Tuner.
        model: Gets `user_tower/`, `movie_tower/`, `ranker/`, `online/`, `re_ranker/` where the configuration
            has one, and `training.json`.
        unfinished: Folder in which a run that is killed leaves its state, to go on from when it is started
            again; nothing is kept without one.
    """
    from pathlib import Path

    from recommender.features.transformed_examples import TransformedExamples
    from recommender.step import step
    from recommender.training.configuration import Tracking, read_hyperparameters
    from recommender.training.fit import train

    with step():
        train(
            TransformedExamples(Path(transformed_examples.path)),
            read_hyperparameters(Path(hyperparameters.path)),
            seed,
            Tracking.model_validate_json(tracking),
            Path(model.path),
            Path(unfinished) if unfinished else None,
        )
