"""From a table of movies with vectors to a vector index that finds what it must."""

import logging
import time
from pathlib import Path

import pyarrow.parquet as pq

from recommender.data.columns import Columns
from recommender.data.vector_column import from_column
from recommender.errors import IndexQualityError
from recommender.retrieval.configuration import IndexerConfig
from recommender.retrieval.edge_index import EdgeMovieIndex
from recommender.retrieval.index_recall import enough_candidates, index_recall, spread_over
from recommender.retrieval.index_report import IndexReport
from recommender.retrieval.movie_filter import PAYLOAD_FIELDS

logger = logging.getLogger(__name__)


def build_index(embeddings: Path, config: IndexerConfig, folder: Path) -> IndexReport:
    """Index the movies of a release, measure the index, and write both with a report.

    An approximate index is searched with `search_candidates`, or with as many more as it takes to reach
    `minimum_recall`, up to eight times as many: how many it takes depends on the vectors.

    Args:
        embeddings: Folder with `movies.parquet` and `users.parquet`.
        config: Exact or approximate, and what recall must reach.
        folder: Gets the index and `index_report.json`.

    Raises:
        IndexQualityError: the index finds too little.
        IndexUnavailableError: the engine could not write the folder.
    """
    movies = pq.read_table(embeddings / "movies.parquet")
    movie_ids = movies.column(Columns.MOVIE_ID).to_numpy()
    vectors = from_column(movies.column(Columns.EMBEDDING))
    users = pq.read_table(embeddings / "users.parquet", columns=[Columns.EMBEDDING])
    queries = spread_over(from_column(users.column(Columns.EMBEDDING)), config.recall_users)

    hnsw = config.hnsw_for(len(movie_ids))
    began = time.perf_counter()
    EdgeMovieIndex.build(
        folder, movie_ids, vectors, movies.select(list(PAYLOAD_FIELDS)).to_pylist(), hnsw=hnsw
    )
    seconds = time.perf_counter() - began

    def recall_with(candidates: int | None) -> float:
        EdgeMovieIndex.set_search_candidates(folder, candidates)
        index = EdgeMovieIndex.open(folder)
        try:
            return index_recall(index, movie_ids, vectors, queries)
        finally:
            index.close()

    candidates, recall = enough_candidates(
        recall_with, hnsw.search_candidates if hnsw else None, config.minimum_recall
    )
    logger.info(
        "%s movies indexed in %.1f s, searched %s: recall@100 %.4f with the vectors of %d users",
        f"{len(movie_ids):,}",
        seconds,
        f"by HNSW with {candidates} candidates" if candidates else "exactly",
        recall,
        len(queries),
    )
    if recall < config.minimum_recall:
        raise IndexQualityError(
            f"recall@100 of the index in {folder} is {recall:.4f} with the vectors of {len(queries)} users, "
            f"but indexer.minimum_recall is {config.minimum_recall}: raise indexer.hnsw.links, "
            "indexer.hnsw.build_candidates or indexer.hnsw.search_candidates, or set indexer.hnsw=null to "
            "search exactly."
        )
    report = IndexReport(
        movies=len(movie_ids),
        dimension=vectors.shape[1],
        search="hnsw" if hnsw else "exact",
        search_candidates=candidates,
        recall_at_100=recall,
        users=len(queries),
        minimum_recall=config.minimum_recall,
    )
    report.write(folder)
    return report
