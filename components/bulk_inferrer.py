"""BulkInferrer: the towers over every user and movie, and everybody's recommendations."""

from kfp import dsl
from kfp.dsl import Dataset, Input, Model, Output


@dsl.component(base_image="marquee-python:0.1", install_kfp_package=False)
def bulk_inferrer(
    config: str,
    examples: Input[Dataset],
    transformed_examples: Input[Dataset],
    model: Input[Model],
    embeddings: Output[Dataset],
    recommendations: Output[Dataset],
) -> None:
    """Compute embeddings and recommendations.

    Args:
        config: `BulkInferrerConfig` as JSON.
        examples: From ExampleGen: what each user has rated.
        transformed_examples: From Transform.
        model: From Trainer.
        embeddings: Gets `movies.parquet`, `users.parquet` and `history.parquet`.
        recommendations: Gets `recommendations.parquet`, re-ranked where the model has a re-ranker.
    """
    from pathlib import Path

    from recommender.features.transformed_examples import TransformedExamples
    from recommender.models.embeddings import write_embeddings
    from recommender.retrieval.batch import write_recommendations
    from recommender.retrieval.configuration import BulkInferrerConfig
    from recommender.step import step

    with step():
        write_embeddings(
            Path(examples.path),
            TransformedExamples(Path(transformed_examples.path)),
            Path(model.path),
            Path(embeddings.path),
        )
        k = BulkInferrerConfig.model_validate_json(config).recommendations
        write_recommendations(Path(embeddings.path), Path(model.path), k, Path(recommendations.path))
