"""What one rating says, seen beside the rest of its user's."""

from ibis.expr import types as ir

from recommender.data.columns import Columns

_DAY = 86_400
_HOUR = 3_600
_UNKNOWN = -1
# 1 January 1970 was a Thursday, and Monday is 0.
_FIRST_WEEKDAY = 3


def interaction_features(ratings: ir.Table, users: ir.Table, movies: ir.Table) -> ir.Table:
    """The ratings with the positions of their user and movie and with features of their own.

    Formulas, for a rating r at time t (seconds):

    - `user_index`, `movie_index` int32: positions in the feature tables; -1 for an unknown one.
    - `rating_normalized` float32: (r - m) / s with the user's training mean m and population standard
      deviation s; 0 where s is 0, as at one training rating, and for an unknown user.
    - `day_of_week` int8: Monday 0 to Sunday 6, UTC; -1 where the time is missing.
    - `hour_of_day` int8: 0 to 23, UTC; -1 where the time is missing.

    A missing `timestamp` becomes 0. A missing release year plays no part.

    Args:
        ratings: `user_id, movie_id, rating, timestamp`, of any part.
        users: `user_id, user_index, rating_mean, rating_std`, as `user_features` gives.
        movies: `movie_id, movie_index`.
    """
    user = users.select(Columns.USER_ID, Columns.USER_INDEX, "rating_mean", "rating_std")
    movie = movies.select(Columns.MOVIE_ID, Columns.MOVIE_INDEX)
    rows = ratings.left_join(user, Columns.USER_ID).drop(f"{Columns.USER_ID}_right")
    rows = rows.left_join(movie, Columns.MOVIE_ID).drop(f"{Columns.MOVIE_ID}_right")

    deviation = rows[Columns.RATING].cast("float64") - rows["rating_mean"].cast("float64")
    normalized = (deviation / rows["rating_std"].cast("float64").nullif(0.0)).fill_null(0.0)
    # Plain arithmetic, because the calendar functions of engines go by the session's time zone.
    timestamp = rows[Columns.TIMESTAMP]
    day = timestamp // _DAY
    weekday = day + _FIRST_WEEKDAY
    return rows.select(
        Columns.USER_ID,
        Columns.MOVIE_ID,
        rows[Columns.RATING].cast("float32").name(Columns.RATING),
        timestamp.fill_null(0).name(Columns.TIMESTAMP),
        rows[Columns.USER_INDEX].fill_null(_UNKNOWN).cast("int32").name(Columns.USER_INDEX),
        rows[Columns.MOVIE_INDEX].fill_null(_UNKNOWN).cast("int32").name(Columns.MOVIE_INDEX),
        normalized.cast("float32").name("rating_normalized"),
        (weekday - weekday // 7 * 7).fill_null(_UNKNOWN).cast("int8").name("day_of_week"),
        ((timestamp - day * _DAY) // _HOUR).fill_null(_UNKNOWN).cast("int8").name("hour_of_day"),
    )
