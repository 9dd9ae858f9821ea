"""Transform: split, then features from the training part only."""

from kfp import dsl
from kfp.dsl import Dataset, Input, Output


@dsl.component(base_image="marquee-python:0.1", install_kfp_package=False)
def transform(
    config: str, engine: str, seed: int, examples: Input[Dataset], transformed_examples: Output[Dataset]
) -> None:
    """Split the ratings and compute features and vocabularies.

    Args:
        config: `TransformConfig` as JSON.
        engine: `EngineConfig` as JSON.
        seed: Of the split.
        examples: From ExampleValidator.
        transformed_examples: Gets interactions, features, vocabulary and split manifest.
    """
    from pathlib import Path

    from recommender.data.engine import EngineConfig
    from recommender.features.transform import TransformConfig
    from recommender.features.transform import transform as transform_examples
    from recommender.step import step

    with step():
        transform_examples(
            Path(examples.path),
            TransformConfig.model_validate_json(config),
            seed,
            Path(transformed_examples.path),
            EngineConfig.model_validate_json(engine),
        )
