"""Canonical tables: every rating once, with its movie, in a fixed order."""

from dataclasses import dataclass
from typing import Final

import ibis
import pyarrow as pa
from ibis.backends.sql import SQLBackend
from ibis.expr import types as ir

from recommender.data.columns import Columns

_PAIR: Final = (Columns.USER_ID, Columns.MOVIE_ID)
_HALF_OF_INT64: Final = 2**31
_PARTS: Final = ("train", "validation", "test")

RATINGS_ORDER: Final = (Columns.USER_ID, Columns.TIMESTAMP, Columns.MOVIE_ID)
MOVIES_ORDER: Final = (Columns.MOVIE_ID,)


@dataclass(frozen=True)
class UniqueRatings:
    """Ratings, of which each user has at most one of each movie."""

    ratings: ir.Table
    repeated: ir.Table | None
    """Those that had to give way, None if there are none."""
    n_repeated: int
    """How many they are."""
    n_leaked: int
    """How many of them gave way to the rating of the same movie by the same user in a later part."""


def unique_ratings(engine: SQLBackend, ratings: ir.Table) -> UniqueRatings:
    """Keep one rating of each movie by each user: the latest, of several at that time the highest.

    Where the source says which part of the split ratings belong to, one in the test part comes before one in
    the validation part, and that before one in the training part: no model may learn from what it is judged
    by. Memory: 16 bytes for each pair of user and movie that comes more than once.

    Args:
        engine: What computes.
        ratings: Canonical columns, `source_file`, `source_line` and perhaps `part`.
    """
    # Usually none come twice, and finding that out is much cheaper than ranking every rating.
    pairs = _repeated_pairs(engine, ratings)
    if not len(pairs):
        return UniqueRatings(ratings, None, 0, 0)
    repeated_pairs = ibis.memtable(pairs)
    again = ratings.semi_join(repeated_pairs, _PAIR)
    rank = (
        again[Columns.PART].cases(*((part, rank) for rank, part in enumerate(_PARTS)))
        if Columns.PART in ratings.columns
        else 0
    )
    again = again.mutate(_rank=rank)
    best_first = ibis.window(
        group_by=_PAIR,
        order_by=[
            again["_rank"].desc(),
            again[Columns.TIMESTAMP].desc(),
            again[Columns.RATING].desc(),
            again[Columns.SOURCE_FILE],
            again[Columns.SOURCE_LINE],
        ],
    )
    again = again.mutate(
        _place=ibis.row_number().over(best_first), _best=again["_rank"].first().over(best_first)
    )
    best = again.filter(again["_place"] == 0).select(*ratings.columns)
    repeated = again.filter(again["_place"] > 0)
    counts = engine.execute(
        repeated.aggregate(n=repeated.count(), leaked=(repeated["_best"] > repeated["_rank"]).sum())
    ).iloc[0]
    return UniqueRatings(
        ratings.anti_join(repeated_pairs, _PAIR).union(best),
        repeated.select(*ratings.columns),
        n_repeated=int(counts["n"]),
        n_leaked=int(counts["leaked"]),
    )


def _repeated_pairs(engine: SQLBackend, ratings: ir.Table) -> pa.Table:
    user, movie = (ratings[name] for name in _PAIR)
    ends = {
        "smallest": ibis.least(user.min(), movie.min()),
        "largest": ibis.greatest(user.max(), movie.max()),
    }
    found = engine.to_pyarrow(ratings.aggregate(**ends).fill_null(0)).to_pylist()[0]
    if found["smallest"] < 0 or found["largest"] >= _HALF_OF_INT64:
        counted = ratings.group_by(_PAIR).aggregate(n=ratings.count())
        return engine.to_pyarrow(counted.filter(counted["n"] > 1).drop("n"))
    # One number for both takes half the time of two.
    pair = (user * _HALF_OF_INT64 + movie).name("pair")
    counted = ratings.group_by(pair).aggregate(n=ratings.count())
    pairs = counted.filter(counted["n"] > 1)["pair"]
    return engine.to_pyarrow(
        pairs.as_table().select(**{_PAIR[0]: pairs // _HALF_OF_INT64, _PAIR[1]: pairs % _HALF_OF_INT64})
    )


def unlisted_movies(rated: ir.Table, movies: ir.Table) -> ir.Table:
    """Rated movies that the table of movies lacks, as "Movie <id>" without genres.

    Args:
        rated: `movie_id` of every rated movie, once.
        movies: Canonical movies.
    """
    unlisted = rated.anti_join(movies, Columns.MOVIE_ID)
    return unlisted.mutate(
        **{
            Columns.TITLE: ibis.literal("Movie ") + unlisted[Columns.MOVIE_ID].cast("string"),
            Columns.GENRES: ibis.literal([], type="array<string>"),
            Columns.RELEASE_YEAR: ibis.null("int32"),
            Columns.IMDB_ID: ibis.null("string"),
            Columns.TMDB_ID: ibis.null("int64"),
            Columns.TAGS: ibis.literal([], type="array<string>"),
        }
    )
