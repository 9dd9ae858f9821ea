"""What a set of ratings looks like, in numbers."""

import logging
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import ibis
import numpy as np
from ibis.expr import types as ir
from pydantic import BaseModel

from recommender.data.activity import Activity
from recommender.data.columns import Columns
from recommender.data.engine import (
    MOVIES_FILE,
    RATINGS_FILE,
    EngineConfig,
    movies_table,
    open_engine,
    ratings_table,
    require_columns,
)
from recommender.data.moments import from_points, moments_of_counts, points, rating_counts
from recommender.document import Document

_logger = logging.getLogger(__name__)

_MOST_BARS: Final = 100
_USER_MEAN_BARS: Final = 50
_DAY: Final = 86_400
# The last second of the year 9999.
_LAST_SECOND: Final = 253_402_300_799


class RatingCount(BaseModel):
    """How often a rating was given; `rating` is the lower edge where ratings are counted in ranges."""

    rating: float
    count: int


class RatingHistogram(BaseModel):
    """How often each rating was given, or how many users have each mean rating."""

    width: float | None
    """Of the ranges; none where every value is counted by itself."""
    bars: tuple[RatingCount, ...]
    """Ascending; a value or range that does not occur has none."""


class GenreCount(BaseModel):
    """How common a genre is, and how well liked."""

    genre: str
    n_movies: int
    n_ratings: int
    avg_rating: float | None
    """None without a usable rating."""


class GenrePair(BaseModel):
    """How many movies have both genres."""

    genre: str
    other: str
    """Comes after `genre` by name."""
    n_movies: int


class MonthCount(BaseModel):
    """Ratings given in one month, UTC."""

    month: str
    """Such as `1998-04`."""
    n_ratings: int


class YearCount(BaseModel):
    """Ratings given in one year, UTC."""

    year: int
    n_ratings: int


class RatingTimes(BaseModel):
    """When ratings were given, UTC."""

    n_undated: int
    """Ratings whose timestamp is missing, negative or after the year 9999; none of these counts has them."""
    per_year: tuple[YearCount, ...]
    per_month: tuple[MonthCount, ...]
    """Without months that have none."""
    per_weekday: tuple[int, ...]
    """Seven counts, Monday first."""
    per_hour: tuple[int, ...]
    """24 counts; the first is of the hour after midnight."""


class Statistics(Document):
    """What a set of ratings looks like. Missing and non-finite ratings count as rows but not as values."""

    file_name = "statistics.json"
    written_by = "StatisticsGen"

    n_users: int
    """Users with a rating."""
    n_movies: int
    """Movies with a rating."""
    n_ratings: int
    n_unusable_ratings: int
    """Of these: missing or not finite."""
    n_catalogue_movies: int
    """Movies of the catalogue, rated or not."""
    n_unrated_movies: int
    """Movies of the catalogue without a rating: only their genres and years can recommend them."""
    sparsity: float
    """1 - n_ratings / (n_users * n_movies): the share of user-movie pairs without a rating."""
    avg_rating: float | None
    rating_std: float | None
    """Population standard deviation, divided by n."""
    ratings: RatingHistogram
    """By value; in ranges of equal width if there are more than a hundred values."""
    user_means: RatingHistogram
    """Users by the mean of their ratings."""
    ratings_per_user: Activity | None
    ratings_per_movie: Activity | None
    """Over movies with a rating."""
    genres: tuple[GenreCount, ...]
    """By name; a movie counts once for each of its genres."""
    genre_pairs: tuple[GenrePair, ...]
    """By name; pairs that no movie has are left out."""
    times: RatingTimes | None
    """None where no rating has a timestamp."""


def compute_statistics(examples: Path, engine: EngineConfig | None = None) -> Statistics:
    """Count and measure the ratings of a folder of examples, inside the table engine.

    The ratings are read once for each of: value, user, movie, day, hour. Only counts leave the engine, one
    for each movie at most, so memory does not grow with the number of ratings; and as they are whole numbers,
    the result is the same on any engine.

    Args:
        examples: Folder with `ratings.parquet` and `movies.parquet`.
        engine: What computes.

    Raises:
        DataError: a file or a column of the examples is missing.
    """
    started = time.perf_counter()
    tables = open_engine(engine)
    try:
        ratings, movies = ratings_table(tables, examples), movies_table(tables, examples)
        require_columns(ratings, Columns.RATINGS, examples / RATINGS_FILE)
        require_columns(movies, (Columns.MOVIE_ID, Columns.GENRES), examples / MOVIES_FILE)
        statistics = _statistics(ratings, movies)
    finally:
        tables.disconnect()
    _logger.info("Statistics of %d ratings in %.1f s", statistics.n_ratings, time.perf_counter() - started)
    return statistics


def _statistics(ratings: ir.Table, movies: ir.Table) -> Statistics:
    values, n_unusable = rating_counts(ratings)
    n_ratings = sum(values.values()) + n_unusable
    avg_rating, rating_std = moments_of_counts(values)
    users, user_means = _users(ratings, values)
    per_movie = ibis.memtable(_totals(ratings, Columns.MOVIE_ID).to_pyarrow())
    rated = _counts(per_movie.group_by("n").aggregate(count=per_movie.count()), "n")
    n_users, n_movies = sum(users.values()), sum(rated.values())
    n_catalogue = int(movies.count().to_pyarrow().as_py())
    unrated = movies.anti_join(per_movie, Columns.MOVIE_ID)
    return Statistics(
        n_users=n_users,
        n_movies=n_movies,
        n_ratings=n_ratings,
        n_unusable_ratings=n_unusable,
        n_catalogue_movies=n_catalogue,
        n_unrated_movies=int(unrated.count().to_pyarrow().as_py()),
        sparsity=1 - n_ratings / (n_users * n_movies) if n_ratings else 1.0,
        avg_rating=avg_rating,
        rating_std=rating_std,
        ratings=_histogram(values),
        user_means=user_means,
        ratings_per_user=Activity.from_counts(users),
        ratings_per_movie=Activity.from_counts(rated),
        genres=_genres(movies, per_movie),
        genre_pairs=_genre_pairs(movies),
        times=_times(ratings),
    )


def _totals(ratings: ir.Table, key: str) -> ir.Table:
    """For each user, or movie: `n` ratings, of which `usable` add up to `total` ten-thousandths."""
    whole = ratings.select(key, whole=points(ratings[Columns.RATING]))
    return whole.group_by(key).aggregate(
        n=whole.count(), usable=whole["whole"].count(), total=whole["whole"].sum()
    )


def _counts(table: ir.Table, key: str) -> dict[Any, int]:
    columns = table.select(key, "count").to_pyarrow()
    return dict(zip(columns[key].to_pylist(), columns["count"].to_pylist(), strict=True))


def _users(ratings: ir.Table, values: Mapping[int, int]) -> tuple[dict[int, int], RatingHistogram]:
    """How many users have a number of ratings, and the histogram of their mean ratings."""
    width = _round_width(values, _USER_MEAN_BARS)
    totals = _totals(ratings, Columns.USER_ID)
    mean = totals["total"] / totals["usable"]
    # Both in one pass: there are few different combinations.
    places = totals.select("n", bar=(mean / width).floor().cast("int64"))
    combinations = places.group_by(["n", "bar"]).aggregate(count=places.count()).to_pyarrow().to_pylist()
    numbers: Counter[int] = Counter()
    bars: Counter[int] = Counter()
    for row in combinations:
        numbers[row["n"]] += row["count"]
        if row["bar"] is not None:
            bars[row["bar"]] += row["count"]
    return dict(numbers), _bars(bars, width)


def _histogram(values: Mapping[int, int]) -> RatingHistogram:
    if len(values) <= _MOST_BARS:
        bars = tuple(RatingCount(rating=from_points(value), count=n) for value, n in values.items())
        return RatingHistogram(width=None, bars=bars)
    width = _round_width(values, _MOST_BARS)
    counts: Counter[int] = Counter()
    for value, n in values.items():
        counts[value // width] += n
    return _bars(counts, width)


def _bars(counts: Mapping[int, int], width: int) -> RatingHistogram:
    bars = tuple(RatingCount(rating=from_points(bar * width), count=n) for bar, n in sorted(counts.items()))
    return RatingHistogram(width=from_points(width), bars=bars)


def _round_width(values: Iterable[int], most: int) -> int:
    """The smallest of 1, 2, 5, 10, 20 and so on ten-thousandths in which the values make no more bars.

    A round width lets histograms of an earlier and a later run be compared.
    """
    span = max(values, default=0) - min(values, default=0)
    width = 1
    while span // width >= most - 1:
        width = width * 5 // 2 if str(width)[0] == "2" else width * 2
    return width


def _genres(movies: ir.Table, per_movie: ir.Table) -> tuple[GenreCount, ...]:
    listed = movies.select(Columns.MOVIE_ID, genre=movies[Columns.GENRES].unique().unnest())
    rated = listed.filter(listed["genre"].notnull()).left_join(per_movie, Columns.MOVIE_ID)
    counts = (
        rated.group_by("genre")
        .aggregate(
            n_movies=rated.count(),
            n_ratings=rated["n"].sum().fill_null(0),
            avg_rating=from_points(rated["total"].sum() / rated["usable"].sum().nullif(0)),
        )
        .order_by("genre")
    )
    return tuple(GenreCount(**row) for row in counts.to_pyarrow().to_pylist())


def _genre_pairs(movies: ir.Table) -> tuple[GenrePair, ...]:
    genres = movies.select(Columns.GENRES, genre=movies[Columns.GENRES].unique().unnest())
    pairs = genres.select("genre", other=genres[Columns.GENRES].unique().unnest())
    pairs = pairs.filter(pairs["genre"] < pairs["other"])
    counts = pairs.group_by(["genre", "other"]).aggregate(n_movies=pairs.count()).order_by("genre", "other")
    return tuple(GenrePair(**row) for row in counts.to_pyarrow().to_pylist())


def _times(ratings: ir.Table) -> RatingTimes | None:
    timestamp = ratings[Columns.TIMESTAMP]
    # Calendars differ between engines, above all in time zones: only whole days and hours are counted there.
    # Times of a broken clock share the day -1; the validator reports them.
    day = timestamp.between(0, _LAST_SECOND).ifelse(timestamp // _DAY, -1)
    days_seen = ratings.select(day=timestamp.isnull().ifelse(ibis.null("int64"), day))
    by_day = _counts(days_seen.group_by("day").aggregate(count=days_seen.count()), "day")
    n_undated = by_day.pop(None, 0)
    if not by_day:
        return None
    n_undated += by_day.pop(-1, 0)
    dated = ratings.filter(timestamp.between(0, _LAST_SECOND))
    hours_seen = dated.select(hour=dated[Columns.TIMESTAMP] // 3600 % 24)
    by_hour = _counts(hours_seen.group_by("hour").aggregate(count=hours_seen.count()), "hour")
    days = np.array(sorted(by_day), np.int64)
    counts = np.array([by_day[day] for day in days.tolist()], np.int64)
    dates = days.astype("datetime64[D]")
    # 1 January 1970, day 0, was a Thursday.
    weekdays = [int(counts[(days + 3) % 7 == weekday].sum()) for weekday in range(7)]
    return RatingTimes(
        n_undated=n_undated,
        per_year=tuple(YearCount(year=int(year), n_ratings=n) for year, n in _added_up(dates, counts, "Y")),
        per_month=tuple(MonthCount(month=month, n_ratings=n) for month, n in _added_up(dates, counts, "M")),
        per_weekday=tuple(weekdays),
        per_hour=tuple(by_hour.get(hour, 0) for hour in range(24)),
    )


def _added_up(dates: np.ndarray, counts: np.ndarray, unit: str) -> list[tuple[str, int]]:
    """Counts of days added up by years, `Y`, or months, `M`; ascending."""
    periods, places = np.unique(dates.astype(f"datetime64[{unit}]"), return_inverse=True)
    sums = np.zeros(len(periods), np.int64)
    np.add.at(sums, places, counts)
    return list(zip(periods.astype(str).tolist(), sums.tolist(), strict=True))
