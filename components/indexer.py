"""Indexer: a vector index of the movies."""

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Output


@dsl.component(base_image="marquee-python:0.1", install_kfp_package=False)
def indexer(config: str, embeddings: Input[Dataset], vector_index: Output[Artifact]) -> None:
    """Index the movies with Qdrant Edge.

    Args:
        config: `IndexerConfig` as JSON.
        embeddings: From BulkInferrer.
        vector_index: Gets the index.
    """
    from pathlib import Path

    from recommender.retrieval.build_index import IndexerConfig, build_index
    from recommender.step import step

    with step():
        build_index(
            Path(embeddings.path) / "movies.parquet",
            IndexerConfig.model_validate_json(config),
            Path(vector_index.path),
        )
