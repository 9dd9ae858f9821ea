"""What a release says of its vector index."""

from typing import Literal

from pydantic import Field

from recommender.document import Document


class IndexReport(Document):
    """How an index is searched, and how much it finds."""

    file_name = "index_report.json"
    written_by = "Indexer"

    movies: int = Field(ge=0)
    """How many it holds."""
    dimension: int = Field(ge=1)
    """Length of every vector."""
    search: Literal["exact", "hnsw"]
    """Whether each movie is compared, or those that a graph leads to."""
    search_candidates: int | None
    """Candidates looked at in each search, as `HnswConfig.search_candidates`; none for an exact search."""
    recall_at_100: float = Field(ge=0, le=1)
    """The share of the 100 best movies of an exact search that the index finds, as the mean over users."""
    users: int = Field(ge=1)
    """Users whose vectors recall was measured with."""
    minimum_recall: float = Field(ge=0, le=1)
    """What recall had to reach."""
