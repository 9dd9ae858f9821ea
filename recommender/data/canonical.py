"""Canonical tables: every rating once, with its movie, in a fixed order."""

import ibis
from ibis.backends.duckdb import Backend
from ibis.expr import types as ir

from recommender.data.columns import Columns

_PAIR = (Columns.USER_ID, Columns.MOVIE_ID)


def latest_ratings(engine: Backend, ratings: ir.Table) -> tuple[ir.Table, int]:
    """Keep one rating of each movie by each user: the latest, of several at that time the highest.

    Returns:
        The ratings that stay, and how many were dropped.
    """
    # Usually none come twice, and finding that out is much cheaper than ranking every rating.
    distinct = ratings.select(*_PAIR).distinct()
    n_dropped = int(engine.execute(ratings.count())) - int(engine.execute(distinct.count()))
    if not n_dropped:
        return ratings, 0
    newest_first = ibis.window(
        group_by=_PAIR, order_by=[ratings[Columns.TIMESTAMP].desc(), ratings[Columns.RATING].desc()]
    )
    ranked = ratings.mutate(age=ibis.row_number().over(newest_first))
    return engine.create_table("latest_ratings", ranked.filter(ranked.age == 0).drop("age")), n_dropped


def with_unlisted_movies(engine: Backend, movies: ir.Table, ratings: ir.Table) -> tuple[ir.Table, int]:
    """Add rated movies that the table of movies lacks, as "Movie <id>" without genres.

    Returns:
        The movies, and how many were added.
    """
    unlisted = ratings.select(Columns.MOVIE_ID).distinct().anti_join(movies, Columns.MOVIE_ID)
    n_added = int(engine.execute(unlisted.count()))
    if not n_added:
        return movies, 0
    added = unlisted.mutate(
        **{
            Columns.TITLE: ibis.literal("Movie ") + unlisted[Columns.MOVIE_ID].cast("string"),
            Columns.GENRES: ibis.literal([], type="array<string>"),
            Columns.RELEASE_YEAR: ibis.null("int32"),
            Columns.IMDB_ID: ibis.null("string"),
            Columns.TMDB_ID: ibis.null("int64"),
        }
    )
    return movies.union(added), n_added


def sorted_ratings(ratings: ir.Table) -> ir.Table:
    """Ratings by user, then timestamp, then movie."""
    return ratings.order_by(Columns.USER_ID, Columns.TIMESTAMP, Columns.MOVIE_ID)


def sorted_movies(movies: ir.Table) -> ir.Table:
    """Movies by id."""
    return movies.order_by(Columns.MOVIE_ID)
