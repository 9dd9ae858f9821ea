"""From a table of movies with vectors to a vector index."""

import logging
from pathlib import Path

import pyarrow.parquet as pq

from recommender.configuration import Configuration
from recommender.data.columns import Columns
from recommender.data.vector_column import from_column
from recommender.retrieval.edge_index import EdgeMovieIndex, HnswConfig

logger = logging.getLogger(__name__)


class IndexerConfig(Configuration):
    """How the vector index is built."""

    hnsw: HnswConfig | None = None
    """An approximate index, for catalogues too large to search exactly; exact search without."""


def build_index(movies: Path, config: IndexerConfig, folder: Path) -> None:
    """Index the movies of a release.

    Args:
        movies: `movies.parquet` with embeddings.
        config: Exact or approximate.
        folder: Gets the index.
    """
    table = pq.read_table(movies)
    vectors = from_column(table.column(Columns.EMBEDDING))
    payload_columns = [Columns.GENRES, Columns.RELEASE_YEAR, "rating_count"]
    EdgeMovieIndex.build(
        folder,
        table.column(Columns.MOVIE_ID).to_numpy(),
        vectors,
        table.select(payload_columns).to_pylist(),
        hnsw=config.hnsw,
    )
    logger.info(
        "%s movies indexed, searched %s", f"{len(vectors):,}", "by HNSW" if config.hnsw else "exactly"
    )
