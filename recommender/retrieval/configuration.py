"""What is recalled for every user in advance, and how the vector index is built."""

from typing import Final

from pydantic import Field

from recommender.configuration import Configuration

_KILOBYTE: Final = 1024
_NUMBER_BYTES: Final = 4


class BulkInferrerConfig(Configuration):
    """What is computed for every user."""

    recommendations: int = Field(default=20, ge=1)
    """Recommendations for each user in `recommendations.parquet`."""


class HnswConfig(Configuration):
    """An approximate index over the vectors, for catalogues too large to search exactly."""

    links: int = Field(default=24, ge=2)
    """Edges of each movie in the graph (`m`): more find better and take more room."""
    build_candidates: int = Field(default=200, ge=4)
    """Candidates looked at for each movie while building (`ef_construct`)."""
    search_candidates: int = Field(default=256, ge=1)
    """Candidates looked at in each search (`ef`); the Indexer raises it, up to eightfold, until the index
    finds what it must. On a trained model of MovieLens 25M's size one user in 1,000 missed nearly all with
    128, which a mean recall of 0.999 does not show, and at most one in 3,000 with 256."""
    exact_below: int = Field(default=40_000, ge=1)
    """Where fewer movies are to be searched, because the catalogue is small or a filter leaves few, each of
    them is compared, which is as quick by then and misses none."""

    def full_scan_kilobytes(self, dimension: int) -> int:
        """`exact_below` as the engine wants it: by the size of the vectors."""
        return max(10, self.exact_below * dimension * _NUMBER_BYTES // _KILOBYTE)


class IndexerConfig(Configuration):
    """How the vector index is built, and what it must reach."""

    hnsw: HnswConfig | None = HnswConfig()
    """An approximate index for large catalogues; none searches every catalogue exactly."""
    minimum_recall: float = Field(default=0.99, ge=0, le=1)
    """The least recall@100: the share of the 100 best movies of an exact search that the index finds."""
    recall_users: int = Field(default=500, ge=1)
    """Users whose vectors recall is measured with, spread evenly over all users."""

    def hnsw_for(self, n_movies: int) -> HnswConfig | None:
        """The approximate index for a catalogue of this size, or None where it is searched exactly."""
        return self.hnsw if self.hnsw is not None and n_movies >= self.hnsw.exact_below else None
