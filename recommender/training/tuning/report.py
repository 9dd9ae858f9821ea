"""The trials as files: JSON and a table for programs, one HTML page that opens offline for people."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TypeGuard

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, select_autoescape

from recommender.chart import drawing
from recommender.data.written_whole import written_whole
from recommender.training.tuning.configuration import Value
from recommender.training.tuning.trials import Trials, shown, shown_score, shown_seconds

PAGE: Final = "trials.html"
_TICKS: Final = 5
_MOST_VALUES: Final = 8
"""With more different numbers an axis is one of numbers, with so many ticks; else each value has its own."""
_UNUSED: Final = "not used"
"""Where a line crosses an axis that says nothing about its trial."""


def write_report(trials: Trials, folder: Path) -> None:
    """Write `trials.json`, `trials.csv` and `trials.html`."""
    templates = Environment(
        loader=PackageLoader("recommender.training"), autoescape=select_autoescape(default=True)
    )
    page = templates.get_template("trials.html.j2").render(
        trials=trials,
        ranked=trials.ranked(),
        failed=sum(trial.score is None for trial in trials.trials),
        minutes=sum(trial.seconds or 0.0 for trial in trials.trials) / 60,
        shown=shown,
        score=shown_score,
        seconds=shown_seconds,
        plot=drawing(parallel_coordinates(trials), "parallel-coordinates"),
    )
    with written_whole(folder) as finished:
        trials.write(finished)
        (finished / PAGE).write_text(page, encoding="utf-8")


def parallel_coordinates(trials: Trials) -> go.Figure:
    """One line for each trial with a score: through what was set, to its epochs and its score."""
    scored = [trial for trial in trials.trials if trial.score is not None]
    scores = [trial.score for trial in scored]
    last = [name.rpartition(".")[2] for name in trials.names]
    axes = [
        _axis(short if last.count(short) == 1 else name, [trial.values.get(name) for trial in scored])
        for name, short in zip(trials.names, last, strict=True)
    ]
    axes.append(_axis("epochs", [trial.epochs for trial in scored]))
    axes.append({"label": "NDCG@10", "values": scores, "tickformat": ".3f"})
    figure = go.Figure(
        go.Parcoords(
            dimensions=axes,
            line={"color": scores, "colorscale": "Viridis", "colorbar": {"title": {"text": "NDCG@10"}}},
            labelangle=-25,
            labelside="top",
        )
    )
    figure.update_layout(
        height=520,
        margin={"l": 120, "r": 40, "t": 110, "b": 40},
        font={"family": "system-ui, sans-serif", "size": 12},
    )
    return figure


def _axis(label: str, values: Sequence[Value | None]) -> dict[str, Any]:
    given = [value for value in values if value is not None]
    numbers = sorted({value for value in given if _is_number(value)})
    if len(numbers) > _MOST_VALUES and all(map(_is_number, given)):
        places, ticks = _places_of_numbers(numbers)
    else:
        places = {shown(value): float(place) for place, value in enumerate(_in_order(given))}
        ticks = dict(places)
    low, high = min(places.values(), default=0.0), max(places.values(), default=0.0)
    unused = low - ((high - low) / len(ticks) if high > low else 1.0)
    if len(given) < len(values):
        ticks = {_UNUSED: unused, **ticks}
    return {
        "label": label,
        "values": [unused if value is None else places[shown(value)] for value in values],
        "tickvals": list(ticks.values()),
        "ticktext": list(ticks),
    }


def _places_of_numbers(numbers: Sequence[float]) -> tuple[dict[str, float], dict[str, float]]:
    """Where numbers stand, and some marks: by magnitude where they span more than one."""
    magnitudes = numbers[0] > 0 and numbers[-1] >= 10 * numbers[0]
    places = {shown(number): math.log10(number) if magnitudes else number for number in numbers}
    low, high = places[shown(numbers[0])], places[shown(numbers[-1])]
    marks = [low + (high - low) * part / (_TICKS - 1) for part in range(_TICKS)]
    return places, {_in_short(10**mark if magnitudes else mark): mark for mark in marks}


def _in_short(number: float) -> str:
    """Two digits that count, such as 4100 or 0.0052."""
    return f"{float(f'{number:.2g}'):g}"


def _in_order(values: Sequence[Value]) -> list[Value]:
    """Different values, numbers and lists by size, texts by the alphabet."""
    different = {shown(value): value for value in values}.values()
    return sorted(different, key=lambda value: ("" if _is_number(value) else str(type(value)), value))


def _is_number(value: Value) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
