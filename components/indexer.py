"""Indexer: a vector index of the movies."""

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Output


@dsl.component(base_image="marquee-python:0.1", install_kfp_package=False)
def indexer(config: str, embeddings: Input[Dataset], vector_index: Output[Artifact]) -> None:
    """Index the movies with Qdrant Edge, and measure what the index finds.

    Args:
        config: `IndexerConfig` as JSON.
        embeddings: From BulkInferrer.
        vector_index: Gets the index and `index_report.json`.
    """
    from pathlib import Path

    from recommender.retrieval.build_index import build_index
    from recommender.retrieval.configuration import IndexerConfig
    from recommender.step import step

    with step():
        build_index(
            Path(embeddings.path),
            IndexerConfig.model_validate_json(config),
            Path(vector_index.path),
        )
