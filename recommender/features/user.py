"""What a user's ratings say about the user."""

import ibis
from ibis.expr import types as ir

from recommender.data.columns import Columns
from recommender.data.moments import exact_mean, population_std
from recommender.features.history_features import DAYS_PER_MONTH, SECONDS_PER_DAY, TOP_GENRES
from recommender.features.vocabulary import GENRE, GENRE_INDEX, genre_index, movie_genres


def user_features(train: ir.Table, movies: ir.Table) -> ir.Table:
    """One row for each user with a training rating; `user_index` counts them by `user_id`, from 0.

    Formulas, over the user's training ratings r at times t (seconds):

    - `rating_mean` float32: sum(r) / n.
    - `rating_std` float32: population standard deviation (divided by n); 0 at one rating and where all
      ratings are equal.
    - `rating_count` int64: n.
    - `top_genres` list of up to three strings: a rated movie counts once for each of its genres; most counted
      first, equal counts by name. Fewer when the user met fewer; empty when no rated movie has a genre.
    - `rating_velocity` float32, ratings a month: n / max(1, (max(t) - min(t)) / a month of 30.4375 days).
      At one rating, as for everyone active for less than a month and where times are missing, it is n.
    - `recency_days` float32: (newest training rating of anyone - max(t)) / a day; 0 for the latest user and
      where times are missing.
    - `rating_range` float32: max(r) - min(r); 0 at one rating.

    A missing release year plays no part.

    Args:
        train: Training ratings: `user_id, movie_id, rating, timestamp`.
        movies: `movie_id, genres`; rated movies that it lacks have no genres.
    """
    rating, timestamp = train[Columns.RATING], train[Columns.TIMESTAMP]
    totals = train.group_by(Columns.USER_ID).aggregate(
        rating_mean=exact_mean(rating).cast("float32"),
        rating_std=population_std(rating).cast("float32"),
        rating_count=train.count(),
        rating_range=(rating.max() - rating.min()).cast("float32"),
        first=timestamp.min(),
        last=timestamp.max(),
    )
    # As a floating-point number, because to Spark the divisor is a decimal one, whose quotients are cut.
    active = (totals["last"] - totals["first"]).cast("float64")
    months = active / (SECONDS_PER_DAY * DAYS_PER_MONTH)
    newest = totals["last"].max().over(ibis.window())
    favourites = _top_genres(train, movies)
    features = totals.left_join(favourites, Columns.USER_ID)
    no_genres = ibis.literal([], type="array<string>")
    return features.select(
        totals[Columns.USER_ID],
        ibis.row_number().over(order_by=totals[Columns.USER_ID]).cast("int32").name(Columns.USER_INDEX),
        "rating_mean",
        "rating_std",
        "rating_count",
        top_genres=favourites["top_genres"].fill_null(no_genres),
        rating_velocity=(totals["rating_count"] / ibis.greatest(months.fill_null(0.0), 1.0)).cast("float32"),
        recency_days=((newest - totals["last"]) / SECONDS_PER_DAY).fill_null(0.0).cast("float32"),
        rating_range=totals["rating_range"],
    )


def _top_genres(train: ir.Table, movies: ir.Table) -> ir.Table:
    """`user_id, top_genres` of every user who rated a movie that has a genre."""
    genres = genre_index(movies)
    # Whole numbers in place of names make the large table narrow; they sort as the names do.
    coded = movie_genres(movies).join(genres, GENRE).select(Columns.MOVIE_ID, GENRE_INDEX)
    met = train.select(Columns.USER_ID, Columns.MOVIE_ID).join(coded, Columns.MOVIE_ID)
    counts = met.group_by([Columns.USER_ID, GENRE_INDEX]).aggregate(times=met.count())
    named = counts.join(genres, GENRE_INDEX)
    # Lists of pairs are sorted instead of rows, because Spark does not collect rows in an order.
    ranked = ibis.struct({"rarity": -named["times"], GENRE: named[GENRE]})
    met_by = named.group_by(Columns.USER_ID).aggregate(ranked=ranked.collect())
    most = met_by["ranked"].sort()[:TOP_GENRES]
    return met_by.select(Columns.USER_ID, top_genres=most.map(lambda pair: pair[GENRE]))
