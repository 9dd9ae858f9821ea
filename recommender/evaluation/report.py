"""The evaluation as files: JSON for programs, one HTML page that opens offline for people."""

from pathlib import Path

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, select_autoescape

from recommender.evaluation.result import TABLE_METRICS, Blessing, Evaluation


def write_report(evaluation: Evaluation, blessing: Blessing, folder: Path) -> None:
    """Write `evaluation.json` and `evaluation.html`."""
    evaluation.write(folder)
    templates = Environment(
        loader=PackageLoader("recommender.evaluation"), autoescape=select_autoescape(), trim_blocks=True
    )
    page = templates.get_template("evaluation.html").render(
        evaluation=evaluation,
        blessing=blessing,
        metrics=TABLE_METRICS,
        rows=evaluation.rows(),
        plot=_plot(evaluation) if evaluation.retrieval else "",
    )
    (folder / "evaluation.html").write_text(page, encoding="utf-8")


def _plot(evaluation: Evaluation) -> str:
    k = 10 if "ndcg@10" in evaluation.retrieval else evaluation.rows()[0][1]
    names = [f"{metric}@{k}" for metric in TABLE_METRICS]
    figure = go.Figure()
    low_high = [evaluation.intervals.get(name) for name in names]
    values = [evaluation.retrieval[name] for name in names]
    spread = [None if ends is None else (ends[1] - ends[0]) / 2 for ends in low_high]
    figure.add_bar(name="two towers", x=names, y=values, error_y={"type": "data", "array": spread})
    for baseline, metrics in evaluation.baselines.items():
        figure.add_bar(name=baseline.replace("_", " "), x=names, y=[metrics[name] for name in names])
    figure.update_layout(barmode="group", template="plotly_white", height=420, margin={"t": 24})
    page: str = figure.to_html(full_html=False, include_plotlyjs=True)
    return page
