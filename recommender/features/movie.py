"""What a movie's ratings and its entry in the catalogue say about the movie."""

from collections.abc import Sequence

import ibis
from ibis.expr import types as ir

from recommender.data.columns import Columns
from recommender.data.moments import exact_mean, population_std
from recommender.features.vocabulary import movie_index


def movie_features(train: ir.Table, movies: ir.Table, genres: Sequence[str]) -> ir.Table:
    """One row for each movie of the catalogue; `movie_index` counts them by `movie_id`, from 0.

    Formulas, over the movie's training ratings r:

    - `popularity` float32: ln(n + 1); 0 without ratings.
    - `avg_rating` float32: sum(r) / n; without ratings, the mean of all training ratings (0 if none).
    - `rating_std` float32: population standard deviation (divided by n); 0 below two ratings and where all
      ratings are equal.
    - `rating_count` int64: n.
    - `genres` list of strings, as in the catalogue; a missing list is empty.
    - `release_year` int32; missing where the catalogue has none.
    - `rating_trend` float32, recent against old: the mean of the ratings in the newer half of the time from
      the movie's first to its last training rating, minus the mean of those in the older half; a rating right
      in the middle belongs to neither. 0 at one rating, where all ratings are of one second, where times are
      missing, and without ratings.
    - `genre_vector` list of float32, as long as `genres` (the argument): 1 where the movie has that genre.

    Args:
        train: Training ratings: `user_id, movie_id, rating, timestamp`.
        movies: `movie_id, genres, release_year`.
        genres: The vocabulary, which gives `genre_vector` its order.
    """
    rating = train[Columns.RATING]
    totals = train.group_by(Columns.MOVIE_ID).aggregate(
        own_mean=exact_mean(rating),
        own_std=population_std(rating),
        n=train.count(),
        ends=train[Columns.TIMESTAMP].min() + train[Columns.TIMESTAMP].max(),
    )
    overall = train.aggregate(mean=exact_mean(rating)).as_scalar()
    trends = _rating_trends(train, totals)
    positions = movie_index(movies)
    rows = (
        movies.join(positions, Columns.MOVIE_ID)
        .left_join(totals, Columns.MOVIE_ID)
        .drop(f"{Columns.MOVIE_ID}_right")
        .left_join(trends, Columns.MOVIE_ID)
        .drop(f"{Columns.MOVIE_ID}_right")
    )
    count = rows["n"].fill_null(0)
    own_genres = rows[Columns.GENRES].fill_null(ibis.literal([], type="array<string>"))
    return rows.select(
        Columns.MOVIE_ID,
        Columns.MOVIE_INDEX,
        (count + 1).ln().cast("float32").name("popularity"),
        ibis.coalesce(rows["own_mean"], overall, 0.0).cast("float32").name("avg_rating"),
        rows["own_std"].fill_null(0.0).cast("float32").name("rating_std"),
        count.cast("int64").name("rating_count"),
        own_genres.name(Columns.GENRES),
        Columns.RELEASE_YEAR,
        rows["rating_trend"].fill_null(0.0).cast("float32").name("rating_trend"),
        _multi_hot(own_genres, genres).name("genre_vector"),
    )


def _rating_trends(train: ir.Table, totals: ir.Table) -> ir.Table:
    """`movie_id, rating_trend` of every rated movie."""
    rows = train.join(totals.select(Columns.MOVIE_ID, "ends"), Columns.MOVIE_ID)
    # Twice the time against the sum of the first and the last, so that the middle needs no rounding.
    doubled = rows[Columns.TIMESTAMP] * 2
    sided = rows.select(
        Columns.MOVIE_ID,
        recent=(doubled > rows["ends"]).ifelse(rows[Columns.RATING], None),
        old=(doubled < rows["ends"]).ifelse(rows[Columns.RATING], None),
    )
    trend = exact_mean(sided["recent"]) - exact_mean(sided["old"])
    return sided.group_by(Columns.MOVIE_ID).aggregate(rating_trend=trend)


def _multi_hot(own_genres: ir.ArrayValue, genres: Sequence[str]) -> ir.Value:
    if not genres:
        return ibis.literal([], type="array<float32>")
    return ibis.array([own_genres.contains(genre).ifelse(1.0, 0.0).cast("float32") for genre in genres])
