"""What ExampleGen says of the ratings that it read."""

from pydantic import BaseModel, ConfigDict, Field

from recommender.data.rating_scale import RatingScale
from recommender.document import Document


class CollectedReport(BaseModel):
    """What became of the ratings that a service had collected."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    source: str
    """The store or the exported file."""
    n_ratings: int
    """Ratings that users gave through the service."""
    n_removals: int
    """Movies that users removed through the service and have not rated since."""
    n_replaced: int
    """Ratings of the source that gave way to one of those."""
    n_removed: int
    """Ratings of the source that are gone because users removed them."""


class SourceReport(Document):
    """What was read, from where, and what it holds."""

    file_name = "source.json"
    written_by = "ExampleGen"

    source: str
    """What was really used, in words."""
    address: str
    """Where it came from: an address, a path, or the seed."""
    archive_sha256: str | None
    """The sha256 of the archive, None where there is none."""
    dialect: str
    """Layout of the files: `u.data`, `dat`, `csv`, `recbole` or `own files`."""
    files: tuple[str, ...]
    """The files that were read, ratings first: relative paths, or `archive.zip!path`. The column
    `source_file` counts them from 0."""
    n_ratings: int
    """Rows of `ratings.parquet`."""
    n_users: int
    """Users with at least one rating."""
    n_movies: int
    """Rows of `movies.parquet`, rated or not."""
    n_rated_movies: int
    """Movies with at least one rating."""
    n_repeated_ratings: int
    """Rows of `repeated.parquet`, which is there if this is not 0: ratings that gave way to another of the
    same movie by the same user."""
    n_unreadable: int
    """Rows of `unreadable.parquet`, which is there if this is not 0: rows of any file that were left out."""
    has_timestamps: bool
    """Whether the source says when ratings were given; otherwise `timestamp` is missing throughout."""
    rating_scale: RatingScale | None
    """The values that a rating can take, None where only the ratings tell."""
    ratings_sha256: str
    """Fingerprint of the content of `ratings.parquet`, without where each rating comes from."""
    movies_sha256: str
    """Fingerprint of the content of `movies.parquet`."""
    file_sha256: dict[str, str] = Field(default={})
    """sha256 of each of `files` that is a file; a store of collected ratings is none."""
    collected: CollectedReport | None = None
    """What a service had collected, if that was asked for. Its ratings come from the last of `files`."""
    notes: tuple[str, ...]
    """What was left out, added or missing, and what falls away because of it."""
