"""Checks that only show when rows are compared with one another, or with another table."""

from collections.abc import Iterator, Sequence
from typing import Final

import ibis
from ibis.expr import types as ir

from recommender.data.checks.anomalies import Anomaly
from recommender.data.checks.first_rows import first_rows
from recommender.data.columns import Columns
from recommender.data.engine import MOVIES_FILE, RATINGS_FILE

UNKNOWN_MOVIE: Final = "unknown_movie"
DUPLICATE_RATING: Final = "duplicate_rating"

_PAIR: Final = (Columns.USER_ID, Columns.MOVIE_ID)
_HOUR: Final = 3600


def repeating_users(ratings: ir.Table) -> ir.Table | None:
    """`user_id` of the users who rated a movie more than once; None if there are none."""
    # By user takes a third of the memory of grouping by pairs, and is faster.
    movie = ratings[Columns.MOVIE_ID]
    users = ratings.group_by(Columns.USER_ID).aggregate(
        n=movie.count(), n_different=movie.collect().unique().length()
    )
    return _kept(users.filter(users["n"] > users["n_different"]).select(Columns.USER_ID))


def unknown_movies(ratings: ir.Table, movies: ir.Table) -> ir.Table | None:
    """`movie_id` of the rated movies that the table of movies lacks; None if there are none."""
    rated = ratings.select(Columns.MOVIE_ID).drop_null().distinct()
    return _kept(rated.anti_join(movies, Columns.MOVIE_ID))


def check_duplicate_ratings(
    ratings: ir.Table, repeating: ir.Table | None, files: Sequence[str]
) -> Iterator[Anomaly]:
    """Movies that a user rated more than once; `count` is of such pairs.

    Args:
        ratings: `user_id`, `movie_id` and more.
        repeating: As `repeating_users` finds them.
        files: Names for the numbers in `source_file`.
    """
    if repeating is None:
        return
    complete = ratings.semi_join(repeating, Columns.USER_ID).drop_null(_PAIR)
    pairs = complete.group_by(_PAIR).aggregate(n=complete.count())
    repeated = pairs.filter(pairs["n"] > 1)
    count = _count(repeated)
    if count:
        yield Anomaly(
            kind=DUPLICATE_RATING,
            severity="error",
            table=RATINGS_FILE,
            column=Columns.MOVIE_ID,
            count=count,
            message=f"{count:,} user-movie pairs with more than one rating",
            rows=first_rows(complete.semi_join(repeated, _PAIR), files, _PAIR),
            remedy="Keep one rating of each pair, such as the newest.",
        )


def check_duplicate_movies(movies: ir.Table, files: Sequence[str]) -> Iterator[Anomaly]:
    """Movies that occur more than once; `count` is of such ids.

    Args:
        movies: `movie_id` and more.
        files: Names for the numbers in `source_file`.
    """
    known = movies.drop_null(Columns.MOVIE_ID)
    ids = known.group_by(Columns.MOVIE_ID).aggregate(n=known.count())
    repeated = ids.filter(ids["n"] > 1)
    count = _count(repeated)
    if count:
        yield Anomaly(
            kind="duplicate_movie",
            severity="error",
            table=MOVIES_FILE,
            column=Columns.MOVIE_ID,
            count=count,
            message=f"{count:,} movies that occur more than once",
            rows=first_rows(known.semi_join(repeated, Columns.MOVIE_ID), files, [Columns.MOVIE_ID]),
            remedy="Keep one row of each movie.",
        )


def check_unknown_movies(
    ratings: ir.Table, unknown: ir.Table | None, files: Sequence[str]
) -> Iterator[Anomaly]:
    """Ratings of movies that the table of movies lacks.

    Args:
        ratings: `movie_id` and more.
        unknown: As `unknown_movies` finds them.
        files: Names for the numbers in `source_file`.
    """
    if unknown is None:
        return
    concerned = ratings.semi_join(unknown, Columns.MOVIE_ID)
    count = _count(concerned)
    yield Anomaly(
        kind=UNKNOWN_MOVIE,
        severity="error",
        table=RATINGS_FILE,
        column=Columns.MOVIE_ID,
        count=count,
        message=f"{count:,} ratings of movies that {MOVIES_FILE} does not have",
        rows=first_rows(concerned, files),
        remedy="Add these movies, or remove their ratings, at the source.",
    )


def check_speed(ratings: ir.Table, most: int, files: Sequence[str]) -> Iterator[Anomaly]:
    """Users with more ratings in one hour by the clock than a human gives.

    Args:
        ratings: `user_id`, `timestamp` and more.
        most: Ratings in an hour.
        files: Names for the numbers in `source_file`.
    """
    timed = ratings.drop_null([Columns.USER_ID, Columns.TIMESTAMP])
    numbers = timed.group_by(Columns.USER_ID).aggregate(n=timed.count())
    # Most users have fewer ratings in all, so little is left to be looked at by the hour.
    busy = timed.semi_join(numbers.filter(numbers["n"] > most), Columns.USER_ID)
    by_hour = busy.select(Columns.USER_ID, hour=busy[Columns.TIMESTAMP] // _HOUR)
    hours = by_hour.group_by([Columns.USER_ID, "hour"]).aggregate(n=by_hour.count())
    fast = hours.filter(hours["n"] > most)
    users = fast.group_by(Columns.USER_ID).aggregate(
        ratings_in_an_hour=fast["n"].max(), first_such_hour=fast["hour"].min() * _HOUR
    )
    count = _count(users)
    if count:
        yield Anomaly(
            kind="inhuman_speed",
            severity="warning",
            table=RATINGS_FILE,
            column=Columns.TIMESTAMP,
            count=count,
            message=f"{count:,} users with more than {most:,} ratings in an hour",
            rows=first_rows(users, files),
            remedy="They may be programs or imports: remove them at the source if they are.",
        )


def _kept(ids: ir.Table) -> ir.Table | None:
    """Ids found once, for all that ask for them; few as a rule."""
    found = ids.to_pyarrow()
    return ibis.memtable(found) if found.num_rows else None


def _count(table: ir.Table) -> int:
    return int(table.count().to_pyarrow().as_py())
