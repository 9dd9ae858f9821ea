"""The canonical names of columns, defined once and used by name everywhere."""

from typing import Final


class Columns:
    """Names of the columns of canonical tables.

    Ratings: `user_id` int64, `movie_id` int64, `rating` float32, `timestamp` int64 (Unix seconds, UTC;
    missing throughout where the source has none), `source_file`, `source_line`, and `part` where the source
    says which split each rating belongs to.
    Movies: `movie_id` int64, `title` string, `genres` list of strings, `release_year` int32 or missing,
    `imdb_id` string or missing, `tmdb_id` int64 or missing, `tags` list of strings, most given first.
    """

    USER_ID: Final = "user_id"
    MOVIE_ID: Final = "movie_id"
    RATING: Final = "rating"
    TIMESTAMP: Final = "timestamp"
    RATINGS: Final = (USER_ID, MOVIE_ID, RATING, TIMESTAMP)
    """What a rating is, without where it comes from."""

    SOURCE_FILE: Final = "source_file"
    """Which file of the source a rating comes from: position in `SourceReport.files`, int16 or missing."""
    SOURCE_LINE: Final = "source_line"
    """Line of that file, or row of a Parquet file, from 1: int64, or missing where the engine cannot tell."""

    PART: Final = "part"
    """`train`, `validation` or `test`."""

    TITLE: Final = "title"
    GENRES: Final = "genres"
    RELEASE_YEAR: Final = "release_year"
    IMDB_ID: Final = "imdb_id"
    TMDB_ID: Final = "tmdb_id"
    TAGS: Final = "tags"

    USER_INDEX: Final = "user_index"
    """Position of the user in `user_features.parquet`, int32."""
    MOVIE_INDEX: Final = "movie_index"
    """Position of the movie in `movie_features.parquet`, int32."""

    EMBEDDING: Final = "embedding"
    """A tower's output, list of float32."""
    RANK: Final = "rank"
    """1 for the best."""
    SCORE: Final = "score"
