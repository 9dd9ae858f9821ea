"""What a set of ratings looks like, in numbers and in pictures."""

from pathlib import Path
from typing import Any, Final

import ibis
import plotly.graph_objects as go
from ibis.backends.duckdb import Backend
from ibis.expr import types as ir
from jinja2 import Environment, PackageLoader, select_autoescape
from pydantic import BaseModel

from recommender.data.columns import Columns
from recommender.data.engine import (
    MOVIES_FILE,
    RATINGS_FILE,
    movies_table,
    open_engine,
    ratings_table,
    require_columns,
)
from recommender.data.moments import exact_mean, from_points, points, population_std
from recommender.document import Document

_QUANTILES: Final = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
_MOST_BARS: Final = 100


class RatingCount(BaseModel):
    """How often a rating was given; `rating` is the lower edge where ratings are counted in ranges."""

    rating: float
    count: int


class Spread(BaseModel):
    """How ratings are spread over users, or over movies: quantiles of the ratings of each."""

    mean: float
    minimum: float
    p10: float
    p25: float
    median: float
    p75: float
    p90: float
    p99: float
    maximum: float


class GenreCount(BaseModel):
    """How common a genre is."""

    genre: str
    n_movies: int
    n_ratings: int


class YearCount(BaseModel):
    """Ratings given in one calendar year, UTC."""

    year: int
    n_ratings: int


class Statistics(Document):
    """What a set of ratings looks like. Missing and non-finite ratings count as rows but not as values."""

    file_name = "statistics.json"
    written_by = "StatisticsGen"

    n_users: int
    """Users with a rating."""
    n_movies: int
    """Movies with a rating."""
    n_ratings: int
    n_catalogue_movies: int
    """Movies of the catalogue, rated or not."""
    sparsity: float
    """1 - n_ratings / (n_users * n_movies): the share of user-movie pairs without a rating."""
    avg_rating: float | None
    rating_std: float | None
    """Population standard deviation, divided by n."""
    rating_histogram: tuple[RatingCount, ...]
    """One entry for each value; for ranges of equal width if there are more than a hundred values."""
    ratings_per_user: Spread | None
    ratings_per_movie: Spread | None
    """Over movies with a rating."""
    movie_popularity_gini: float | None
    """Gini coefficient of the ratings of rated movies: 0 if all have equally many, near 1 if few have all."""
    genres: tuple[GenreCount, ...]
    """By name; a movie counts once for each of its genres."""
    ratings_per_year: tuple[YearCount, ...]


def compute_statistics(examples: Path) -> Statistics:
    """Count and measure the ratings of a folder of examples.

    Raises:
        DataError: a file or a column of the examples is missing.
    """
    engine = open_engine()
    try:
        ratings, movies = ratings_table(engine, examples), movies_table(engine, examples)
        require_columns(
            ratings,
            (Columns.USER_ID, Columns.MOVIE_ID, Columns.RATING, Columns.TIMESTAMP),
            examples / RATINGS_FILE,
        )
        require_columns(movies, (Columns.MOVIE_ID, Columns.GENRES), examples / MOVIES_FILE)
        return _statistics(engine, ratings, movies)
    finally:
        engine.disconnect()


def write_statistics(statistics: Statistics, folder: Path) -> None:
    """Write `statistics.json`, and `statistics.html` with a table and charts that open without a network."""
    statistics.write(folder)
    pages = Environment(loader=PackageLoader("recommender.data"), autoescape=select_autoescape(default=True))
    charts = [
        # The first chart carries plotly.js for all of them.
        figure.to_html(full_html=False, include_plotlyjs=position == 0, div_id=f"chart-{position}")
        for position, figure in enumerate(_figures(statistics))
    ]
    page = pages.get_template("statistics.html.j2").render(statistics=statistics, charts=charts)
    (folder / "statistics.html").write_text(page, encoding="utf-8")


def _statistics(engine: Backend, ratings: ir.Table, movies: ir.Table) -> Statistics:
    rating = ratings[Columns.RATING]
    overall = _row(
        ratings.aggregate(
            n=ratings.count(),
            mean=exact_mean(rating),
            std=population_std(rating),
        )
    )
    per_user, per_movie = (
        engine.create_table(f"per_{key}", ratings.group_by(key).aggregate(n=ratings.count()), temp=True)
        for key in (Columns.USER_ID, Columns.MOVIE_ID)
    )
    n_users, n_movies = (int(table.count().to_pyarrow().as_py()) for table in (per_user, per_movie))
    n_ratings = int(overall["n"])
    return Statistics(
        n_users=n_users,
        n_movies=n_movies,
        n_ratings=n_ratings,
        n_catalogue_movies=int(movies.count().to_pyarrow().as_py()),
        sparsity=1 - n_ratings / (n_users * n_movies) if n_ratings else 1.0,
        avg_rating=overall["mean"],
        rating_std=overall["std"],
        rating_histogram=_histogram(engine, ratings),
        ratings_per_user=_spread(per_user) if n_ratings else None,
        ratings_per_movie=_spread(per_movie) if n_ratings else None,
        movie_popularity_gini=_gini(per_movie),
        genres=_genres(movies, per_movie),
        ratings_per_year=_years(ratings),
    )


def _row(one: ir.Table) -> dict[str, Any]:
    row: dict[str, Any] = one.to_pyarrow().to_pylist()[0]
    return row


def _histogram(engine: Backend, ratings: ir.Table) -> tuple[RatingCount, ...]:
    values = ratings.select(whole=points(ratings[Columns.RATING])).filter(ibis._["whole"].notnull())
    counts = engine.create_table(
        "value_counts", values.group_by("whole").aggregate(count=values.count()), temp=True
    )
    size = _row(counts.aggregate(n=counts.count(), low=counts["whole"].min(), high=counts["whole"].max()))
    if size["n"] > _MOST_BARS:
        width = (size["high"] - size["low"]) / _MOST_BARS
        bar = ibis.least(((counts["whole"] - size["low"]) / width).floor(), _MOST_BARS - 1)
        edges = counts.mutate(whole=bar * width + size["low"])
        counts = edges.group_by("whole").aggregate(count=edges["count"].sum())
    listed = counts.select(rating=from_points(counts["whole"]), count=counts["count"]).order_by("rating")
    return tuple(RatingCount(**row) for row in listed.to_pyarrow().to_pylist())


def _spread(counts: ir.Table) -> Spread:
    n = counts["n"]
    quantiles = n.quantile(list(_QUANTILES))
    row = _row(counts.aggregate(mean=n.mean(), low=n.min(), high=n.max(), quantiles=quantiles))
    p10, p25, median, p75, p90, p99 = row["quantiles"]
    return Spread(
        mean=row["mean"],
        minimum=row["low"],
        p10=p10,
        p25=p25,
        median=median,
        p75=p75,
        p90=p90,
        p99=p99,
        maximum=row["high"],
    )


def _gini(counts: ir.Table) -> float | None:
    """Gini coefficient of `n`: 2 * sum(i * x_i) / (m * sum(x)) - (m + 1) / m, x ascending, i from 1."""
    placed = counts.select("n", place=ibis.row_number().over(order_by=counts["n"]) + 1)
    row = _row(
        placed.aggregate(
            weighted=(placed["n"] * placed["place"]).sum(), total=placed["n"].sum(), size=placed.count()
        )
    )
    if not row["size"]:
        return None
    weighted, total, size = int(row["weighted"]), int(row["total"]), int(row["size"])
    return 2 * weighted / (size * total) - (size + 1) / size


def _genres(movies: ir.Table, per_movie: ir.Table) -> tuple[GenreCount, ...]:
    pairs = movies.select(movies[Columns.MOVIE_ID], genre=movies[Columns.GENRES].unique().unnest()).left_join(
        per_movie, Columns.MOVIE_ID
    )
    counts = (
        pairs.filter(pairs["genre"].notnull())
        .group_by("genre")
        .aggregate(n_movies=ibis._.count(), n_ratings=ibis._["n"].sum().fill_null(0))
        .order_by("genre")
    )
    return tuple(GenreCount(**row) for row in counts.to_pyarrow().to_pylist())


def _years(ratings: ir.Table) -> tuple[YearCount, ...]:
    timestamp = ratings[Columns.TIMESTAMP]
    # The engine has no calendar for a broken clock; the validator reports those.
    dated = ratings.filter(timestamp.between(0, 253_402_300_799))
    years = dated.select(year=dated[Columns.TIMESTAMP].as_timestamp("s").year())
    counts = years.group_by("year").aggregate(n_ratings=years.count()).order_by("year")
    return tuple(YearCount(**row) for row in counts.to_pyarrow().to_pylist())


def _figures(statistics: Statistics) -> list[go.Figure]:
    histogram = statistics.rating_histogram
    return [
        _bars("Ratings by value", [row.rating for row in histogram], [row.count for row in histogram]),
        _bars(
            "Ratings by year",
            [row.year for row in statistics.ratings_per_year],
            [row.n_ratings for row in statistics.ratings_per_year],
        ),
        _bars(
            "Ratings by genre",
            [row.genre for row in statistics.genres],
            [row.n_ratings for row in statistics.genres],
        ),
        _bars(
            "Movies by genre",
            [row.genre for row in statistics.genres],
            [row.n_movies for row in statistics.genres],
        ),
    ]


def _bars(title: str, names: list[Any], counts: list[int]) -> go.Figure:
    figure = go.Figure(go.Bar(x=names, y=counts))
    figure.update_layout(title=title, height=360, margin={"l": 60, "r": 20, "t": 60, "b": 60})
    figure.update_layout(xaxis_type="category", yaxis_title="number", template="plotly_white")
    return figure
