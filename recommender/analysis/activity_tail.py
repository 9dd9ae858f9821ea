"""Whether few users, or movies, have most ratings in the way of a power law."""

from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from ibis.expr import types as ir

from recommender.chart import Chart

_TENTH: Final = 0.1


def tail(ratings: ir.Table, key: str) -> pd.DataFrame:
    """How many users, or movies, have at least n ratings: the complementary cumulative distribution.

    Args:
        ratings: `key` and anything else.
        key: `user_id` or `movie_id`.

    Returns:
        Columns `n`, each number of ratings that somebody has, ascending; `count`, how many have just so many;
        and `share`, of all with a rating, who have so many or more. Few rows whatever the data.
    """
    each = ratings.group_by(key).aggregate(n=ratings.count())
    frame: pd.DataFrame = each.group_by("n").aggregate(count=each.count()).order_by("n").to_pandas()
    from_here = frame["count"][::-1].cumsum()[::-1]
    return frame.assign(share=from_here / frame["count"].sum())


class PowerLaw(NamedTuple):
    """P(N >= n) = 10^intercept * n^slope."""

    slope: float
    intercept: float
    r_squared: float
    """1 where every point is on the line."""


def fit_power_law(points: pd.DataFrame) -> PowerLaw:
    """The least-squares line through log10(share) over log10(n).

    Args:
        points: Two rows or more of what `tail` gives.
    """
    x, y = np.log10(points["n"].to_numpy()), np.log10(points["share"].to_numpy())
    slope, intercept = np.polyfit(x, y, 1)
    return PowerLaw(float(slope), float(intercept), float(1 - np.var(y - slope * x - intercept) / np.var(y)))


def tail_chart(points: pd.DataFrame, who: str) -> Chart:
    """The distribution on two logarithmic axes, with a line through all and one through the largest tenth.

    Args:
        points: What `tail` gives.
        who: Whose ratings are counted, such as `Users`.
    """
    figure = go.Figure()
    figure.add_scatter(x=points["n"], y=points["share"], mode="markers", name=who.lower())
    for name, part in (("all", points), ("the tenth with most", points[points["share"] <= _TENTH])):
        if len(part) < 2:
            continue
        law = fit_power_law(part)
        figure.add_scatter(
            x=part["n"],
            y=10**law.intercept * part["n"] ** law.slope,
            mode="lines",
            name=f"{name}: slope {law.slope:.2f}, R² {law.r_squared:.2f}",
        )
    figure.update_layout(
        template="plotly_white", height=400, legend={"x": 0.02, "y": 0.02, "yanchor": "bottom"}
    )
    figure.update_xaxes(type="log", title="ratings, n", dtick="D2")
    figure.update_yaxes(type="log", title="share with n or more", dtick=1)
    return Chart(
        f"{who} with at least n ratings",
        "Under a power law all points are on one straight line, and both lines are the same.",
        figure,
    )
