"""The charts of the page of statistics, each with a sentence on how to read it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import plotly.graph_objects as go

from recommender.chart import Chart
from recommender.data.activity import Activity
from recommender.data.statistics import RatingHistogram, RatingTimes, Statistics

_BLUE: Final = "#3b6ea5"
_ORANGE: Final = "#c8722c"
_MOST_GENRES: Final = 30
_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_LAYOUT: Final[Mapping[str, Any]] = {
    "template": "plotly_white",
    "height": 340,
    "margin": {"l": 70, "r": 20, "t": 15, "b": 60},
    "font": {"family": "system-ui, sans-serif", "size": 13},
    "showlegend": False,
    "bargap": 0.15,
}


def charts(statistics: Statistics) -> Iterator[Chart]:
    """The charts for which there is anything to draw, in the order of the page."""
    if not statistics.ratings.bars:
        return
    yield Chart(
        "Ratings by value",
        "Each bar is how often a rating was given; a scale that people use in full has bars all along it.",
        _histogram(statistics.ratings, "rating", "ratings"),
    )
    yield Chart(
        "Mean rating of users",
        "Each bar is how many users rate with about this mean; the wider the hill, the more it pays to know "
        "how strict a user is.",
        _histogram(statistics.user_means, "mean of a user's ratings", "users"),
    )
    if statistics.ratings_per_user is not None and statistics.ratings_per_movie is not None:
        yield from _activity_charts(statistics.ratings_per_user, statistics.ratings_per_movie)
    if statistics.genres:
        yield from _genre_charts(statistics)
    if statistics.times is not None:
        yield from _time_charts(statistics.times)


def _activity_charts(users: Activity, movies: Activity) -> Iterator[Chart]:
    yield Chart(
        "How active users are",
        "Each bar is how many users have that many ratings; little is known of the users at the left.",
        _ranges(users, "ratings of a user", "users"),
    )
    yield Chart(
        "How popular movies are",
        "Each bar is how many movies have that many ratings; movies at the left are hard to recommend, those "
        "at the right easily crowd out the rest.",
        _ranges(movies, "ratings of a movie", "rated movies"),
    )
    yield Chart(
        "How unequally ratings are spread",
        "At 10 % a line shows what share of all ratings the most active tenth of the users has, or the most "
        "popular tenth of the movies; the further above the diagonal, the more unequal.",
        _curves(users, movies),
    )


def _genre_charts(statistics: Statistics) -> Iterator[Chart]:
    common = sorted(statistics.genres, key=lambda row: (-row.n_movies, row.genre))[:_MOST_GENRES]
    names = [row.genre for row in common]
    which = "" if len(statistics.genres) <= _MOST_GENRES else f" The {_MOST_GENRES} most common are shown."
    yield Chart(
        "Movies by genre",
        f"Each bar is how many movies have the genre; a movie counts for each of its genres.{which}",
        _bars(names, [row.n_movies for row in common], "genre", "movies"),
    )
    yield Chart(
        "Ratings by genre",
        "Each bar is how many ratings went to movies of the genre, in the order of the chart above: one that "
        "is out of line belongs to a genre that is rated more, or less, than its number of movies suggests.",
        _bars(names, [row.n_ratings for row in common], "genre", "ratings"),
    )
    rated = [row for row in common if row.avg_rating is not None]
    if rated and statistics.avg_rating is not None:
        figure = _figure("genre", "mean rating", xaxis={"type": "category"})
        figure.add_scatter(
            x=[row.genre for row in rated],
            y=[row.avg_rating for row in rated],
            mode="markers",
            marker={"color": _BLUE, "size": 10},
        )
        figure.add_hline(y=statistics.avg_rating, line={"color": _ORANGE, "dash": "dot"})
        yield Chart(
            "Mean rating by genre",
            "Each point is the mean rating of the genre's movies; the dotted line is the mean of all.",
            figure,
        )
    if statistics.genre_pairs:
        yield Chart(
            "Genres that go together",
            "Each square is how many movies have both genres, the darker the more; the diagonal is empty.",
            _pairs(statistics, names),
        )


def _time_charts(times: RatingTimes) -> Iterator[Chart]:
    months = [row.month for row in times.per_month]
    figure = _figure("month", "ratings", xaxis={"type": "date"})
    figure.add_bar(x=months, y=[row.n_ratings for row in times.per_month], marker={"color": _BLUE})
    yield Chart(
        "Ratings over time",
        "Each bar is how many ratings were given in a month; where bars rise or end suddenly, find out how "
        "the data came about before splitting it by time.",
        figure,
    )
    yield Chart(
        "Ratings by weekday",
        "Each bar is how many ratings were given on that day of the week, in UTC.",
        _bars(_WEEKDAYS, times.per_weekday, "weekday", "ratings"),
    )
    yield Chart(
        "Ratings by hour",
        "Each bar is how many ratings were given in that hour of the day, in UTC; bars of equal height "
        "throughout mean that the times are not real.",
        _bars([f"{hour:02d}" for hour in range(24)], times.per_hour, "hour of the day", "ratings"),
    )


def _figure(x_title: str, y_title: str, **layout: Any) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(**_LAYOUT)
    figure.update_layout(**layout)
    figure.update_xaxes(title=x_title)
    figure.update_yaxes(title=y_title, tickformat=None if y_title == "mean rating" else ",")
    return figure


def _bars(names: Sequence[str], counts: Sequence[int], x_title: str, y_title: str) -> go.Figure:
    figure = _figure(x_title, y_title, xaxis={"type": "category"})
    figure.add_bar(x=list(names), y=list(counts), marker={"color": _BLUE})
    return figure


def _histogram(histogram: RatingHistogram, x_title: str, y_title: str) -> go.Figure:
    figure = _figure(x_title, y_title)
    # The bar of a range stands in its middle.
    middle = (histogram.width or 0) / 2
    figure.add_bar(
        x=[bar.rating + middle for bar in histogram.bars],
        y=[bar.count for bar in histogram.bars],
        marker={"color": _BLUE},
    )
    return figure


def _ranges(activity: Activity, x_title: str, y_title: str) -> go.Figure:
    names = [
        f"{bar.low:,}" if bar.low == bar.high else f"{bar.low:,} to {bar.high:,}"
        for bar in activity.histogram
    ]
    return _bars(names, [bar.count for bar in activity.histogram], x_title, y_title)


def _curves(users: Activity, movies: Activity) -> go.Figure:
    figure = _figure(
        "share of users or movies, those with most ratings first",
        "share of ratings",
        showlegend=True,
        legend={"x": 0.98, "y": 0.05, "xanchor": "right", "yanchor": "bottom"},
    )
    for name, activity, colour in (("users", users, _BLUE), ("movies", movies, _ORANGE)):
        figure.add_scatter(
            x=[0, *(point.share for point in activity.curve)],
            y=[0, *(point.share_of_ratings for point in activity.curve)],
            name=f"{name} (Gini {activity.gini:.2f})",
            mode="lines",
            line={"color": colour, "width": 3},
        )
    figure.add_scatter(x=[0, 1], y=[0, 1], name="equal", mode="lines", line={"color": "#999", "dash": "dot"})
    figure.update_xaxes(tickformat=".0%", range=[0, 1])
    figure.update_yaxes(tickformat=".0%", range=[0, 1.02])
    return figure


def _pairs(statistics: Statistics, names: Sequence[str]) -> go.Figure:
    counts = {(pair.genre, pair.other): pair.n_movies for pair in statistics.genre_pairs}
    ordered = sorted(names)
    cells = [
        [None if row == column else counts.get((min(row, column), max(row, column)), 0) for column in ordered]
        for row in ordered
    ]
    figure = _figure("genre", "genre", height=max(340, 140 + 24 * len(ordered)))
    figure.add_heatmap(
        x=ordered, y=ordered, z=cells, colorscale="Blues", xgap=1, ygap=1, colorbar={"title": "movies"}
    )
    figure.update_xaxes(type="category", tickangle=45, showgrid=False)
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    figure.update_layout(margin={"l": 110, "b": 110})
    return figure
