"""The charts of the evaluation's page, each with a sentence on how to read it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import plotly.graph_objects as go

from recommender.chart import Chart
from recommender.evaluation.comparison import Interval
from recommender.evaluation.result import TABLE_METRICS, Evaluation, SliceResult, standing, title

COLOURS: Final = {"better": "#2e7d4f", "worse": "#b3261e", "no clear difference": "#8a8a8a"}
_MODELS: Final = ("#3b6ea5", "#c8722c", "#7a5ea8", "#5b8c5a", "#a04e6b", "#6b6b6b")
_LAYOUT: Final[Mapping[str, Any]] = {
    "template": "plotly_white",
    "height": 380,
    "margin": {"l": 150, "r": 20, "t": 15, "b": 60},
    "font": {"family": "system-ui, sans-serif", "size": 13},
    "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
}
_ROW: Final = 22
"""Pixels of a row in a chart of slices."""


def charts(evaluation: Evaluation) -> Iterator[Chart]:
    """The charts for which there is anything to draw, in the order of the page."""
    if not evaluation.means:
        return
    live = evaluation.live
    if live is not None and live.comparable:
        yield Chart(
            "Against what is live",
            f"How much higher or lower each metric at {evaluation.k} is than that of release {live.name}; "
            "the lines are 95 % intervals. Green is better, red is worse, grey may be chance.",
            _differences(
                [
                    (metric, live.means[metric], evaluation.means[metric], live.differences[metric])
                    for metric in _at_k(evaluation, live.differences)
                ],
                "difference from the live release",
            ),
        )
        yield from _slice_chart(evaluation, "live", f"release {live.name}")
    if evaluation.comparisons:
        yield Chart(
            "Against simpler recommenders",
            f"Each metric at {evaluation.k} as a multiple of the baseline's, on the same users. A line is "
            "the 95 % interval of the paired bootstrap: where it does not cross 1, it is not chance.",
            _ratios(evaluation),
        )
    yield Chart(
        "All models",
        f"Every metric at {evaluation.k}; the whiskers are 95 % bootstrap intervals over users.",
        _bars(evaluation),
    )
    strongest = evaluation.strongest_baseline()
    if strongest is not None:
        yield from _slice_chart(evaluation, strongest, title(strongest))
    if evaluation.reliability:
        yield Chart(
            "Predicted and actual ratings",
            "Each point is a tenth of the test ratings, those with the lowest predictions first: on the "
            "line, predictions mean what they say; below it, the model promises too much.",
            _reliability(evaluation),
        )


def _slice_chart(evaluation: Evaluation, other: str, name: str) -> Iterator[Chart]:
    rows = [one for one in evaluation.slices if other in one.differences]
    if rows:
        yield Chart(
            f"Where it is better and worse than {name}",
            f"How much higher or lower NDCG@{evaluation.k} is for some users, and recall@{evaluation.k} of "
            "some movies; the lines are 95 % intervals. Green is better, red is worse, grey may be chance; "
            "of forty lines chance alone turns two green or red.",
            _slices(rows, evaluation.judged, other),
        )


def _at_k(evaluation: Evaluation, names: Mapping[str, Any]) -> list[str]:
    wanted = [f"{metric}@{evaluation.k}" for metric in TABLE_METRICS]
    return [name for name in wanted if name in names]


def _figure(x_title: str, **layout: Any) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(**_LAYOUT)
    figure.update_layout(**layout)
    figure.update_xaxes(title=x_title)
    return figure


def _differences(rows: Sequence[tuple[str, float, float, Interval]], x_title: str) -> go.Figure:
    """A point with its interval for each (name, other's mean, own mean, interval of the difference)."""
    figure = _figure(x_title, height=150 + _ROW * len(rows), showlegend=False)
    for how, colour in COLOURS.items():
        own = [row for row in rows if standing(row[3]) == how]
        if own:
            points = [mean - other for _, other, mean, _ in own]
            figure.add_scatter(
                x=points,
                y=[name for name, *_ in own],
                mode="markers",
                name=how,
                marker={"color": colour, "size": 9},
                error_x=_whiskers(points, [interval for *_, interval in own]),
                customdata=[(mean, other) for _, other, mean, _ in own],
                hovertemplate="%{y}: %{customdata[0]:.4f} against %{customdata[1]:.4f}<extra></extra>",
            )
    figure.add_vline(x=0, line={"color": "#444", "width": 1})
    figure.update_yaxes(
        type="category", categoryorder="array", categoryarray=[row[0] for row in rows][::-1], dtick=1
    )
    return figure


def _slices(rows: Sequence[SliceResult], judged: str, other: str) -> go.Figure:
    named = [(f"{one.by}: {one.name} ({one.n_users:,})", one) for one in rows]
    figure = _differences(
        [(name, one.means[other], one.means[judged], one.differences[other]) for name, one in named],
        "difference; in brackets the users it is averaged over",
    )
    figure.update_layout(margin={"l": 290})
    return figure


def _ratios(evaluation: Evaluation) -> go.Figure:
    figure = _figure("multiple of the baseline's", height=420, xaxis={"type": "log"})
    for (other, compared), colour in zip(evaluation.comparisons.items(), _colours(1), strict=False):
        names = [name for name in _at_k(evaluation, compared) if compared[name].ratio_interval is not None]
        ratios = [compared[name].ratio or 0.0 for name in names]
        intervals = [compared[name].ratio_interval or (0.0, 0.0) for name in names]
        figure.add_scatter(
            x=ratios,
            y=names,
            mode="markers",
            name=f"against {title(other)}",
            marker={"color": colour, "size": 9},
            error_x=_whiskers(ratios, intervals),
            customdata=[compared[name].better_share for name in names],
            hovertemplate="%{y}: %{x:.3f} x, better in %{customdata:.0%} of the samples<extra></extra>",
        )
    figure.add_vline(x=1, line={"color": "#444", "width": 1})
    figure.update_yaxes(type="category", autorange="reversed")
    figure.update_xaxes(tickformat=".3~g", nticks=8)
    return figure


def _bars(evaluation: Evaluation) -> go.Figure:
    figure = _figure("", barmode="group", margin={"l": 60})
    names = [f"{metric}@{evaluation.k}" for metric in TABLE_METRICS]
    everything = evaluation.models | evaluation.baselines
    for (model, metrics), colour in zip(everything.items(), _colours(0), strict=False):
        intervals = evaluation.intervals[model]
        values = [metrics[name] for name in names]
        spread = [intervals.get(name, (value, value)) for name, value in zip(names, values, strict=True)]
        figure.add_bar(
            name=title(model), x=names, y=values, marker={"color": colour}, error_y=_whiskers(values, spread)
        )
    return figure


def _reliability(evaluation: Evaluation) -> go.Figure:
    figure = _figure("mean predicted rating", showlegend=False, margin={"l": 60}, height=420)
    predicted = [one.predicted for one in evaluation.reliability]
    actual = [one.actual for one in evaluation.reliability]
    ends = [min(*predicted, *actual), max(*predicted, *actual)]
    figure.add_scatter(x=ends, y=ends, mode="lines", line={"color": "#999", "dash": "dot"}, hoverinfo="skip")
    figure.add_scatter(
        x=predicted,
        y=actual,
        mode="lines+markers",
        marker={"color": _MODELS[0], "size": 9},
        line={"color": _MODELS[0]},
        hovertemplate="predicted %{x:.2f}, given %{y:.2f}<extra></extra>",
    )
    figure.update_yaxes(title="mean actual rating")
    return figure


def _whiskers(values: Sequence[float], intervals: Sequence[Interval]) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - value for value, (_, high) in zip(values, intervals, strict=True)],
        "arrayminus": [value - low for value, (low, _) in zip(values, intervals, strict=True)],
        "thickness": 1.5,
        "width": 3,
    }


def _colours(skip: int) -> Iterator[str]:
    """A colour for each model, the same in every chart."""
    return iter(_MODELS[skip:] * 3)
