"""The evaluation as files: JSON for programs, one HTML page that opens offline for people."""

from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, select_autoescape

from recommender.chart import drawn
from recommender.data.written_whole import written_whole
from recommender.evaluation.charts import charts
from recommender.evaluation.expected import EXPECTED, EXPECTED_DATA, EXPECTED_PROTOCOL, verdict
from recommender.evaluation.metrics import GENRE_METRICS
from recommender.evaluation.result import TABLE_METRICS, Blessing, Evaluation, Standing, standing, title

PAGE: Final = "evaluation.html"
_LIST_METRICS: Final = ("novelty", "popularity_lift", "overlap", *GENRE_METRICS)


def write_report(evaluation: Evaluation, blessing: Blessing, folder: Path) -> None:
    """Write `evaluation.json` and `evaluation.html`."""
    pages = Environment(
        loader=PackageLoader("recommender.evaluation"), autoescape=select_autoescape(default=True)
    )
    page = pages.get_template("evaluation.html.j2").render(
        evaluation=evaluation,
        blessing=blessing,
        metrics=TABLE_METRICS,
        rows=evaluation.rows(),
        judged=title(evaluation.judged),
        sentences=_sentences(evaluation),
        lists=_lists(evaluation),
        list_metrics=_LIST_METRICS,
        expected=_expected(evaluation),
        expected_protocol=EXPECTED_PROTOCOL,
        expected_data=EXPECTED_DATA,
        charts=drawn(charts(evaluation)),
    )
    with written_whole(folder) as finished:
        evaluation.write(finished)
        (finished / PAGE).write_text(page, encoding="utf-8")


def _sentences(evaluation: Evaluation) -> list[tuple[Standing, str]]:
    """Better or worse than what is live and than each baseline, and where."""
    if not evaluation.means:
        return []
    sentences = [_beside_live(evaluation)]
    metric = f"ndcg@{evaluation.k}"
    for other, compared in evaluation.comparisons.items():
        one = compared[metric]
        text = _than(standing(one.difference_interval), title(other))
        if one.ratio is not None and one.ratio_interval is not None:
            low, high = one.ratio_interval
            text += f": {one.ratio:.3f} x its {metric.upper()} ({low:.3f} to {high:.3f})"
        share = f"{one.better_share:.0%} of the bootstrap samples"
        sentences.append((standing(one.difference_interval), f"{text}, better in {share}."))
    for other, name in _worth_knowing_where(evaluation).items():
        slices = [one for one in evaluation.slices if other in one.differences]
        worse = [one for one in slices if standing(one.differences[other]) == "worse"]
        if worse:
            where = "; ".join(f"{one.by}: {one.name}" for one in worse)
            sentences.append(("worse", f"Where it is worse than {name}: {where}."))
        elif slices:
            sentences.append(("better", f"Not clearly worse than {name} for any users or movies looked at."))
    return sentences


def _beside_live(evaluation: Evaluation) -> tuple[Standing, str]:
    live, metric = evaluation.live, f"ndcg@{evaluation.k}"
    if live is None:
        return "no clear difference", "There is no live release to compare with."
    if metric not in live.differences:
        text = f"The live release {live.name} was judged on other ratings: its numbers say nothing here."
        return "no clear difference", text
    (low, high), how = live.differences[metric], standing(live.differences[metric])
    return how, (
        f"{_than(how, f'the live release {live.name}')}: {metric.upper()} {evaluation.means[metric]:.4f} "
        f"against {live.means[metric]:.4f}, a difference between {low:+.4f} and {high:+.4f}."
    )


def _than(how: Standing, name: str) -> str:
    return (
        f"No clear difference from {name}"
        if how == "no clear difference"
        else f"{how.capitalize()} than {name}"
    )


def _worth_knowing_where(evaluation: Evaluation) -> dict[str, str]:
    strongest = evaluation.strongest_baseline()
    return {"live": "the live release"} | ({} if strongest is None else {strongest: title(strongest)})


def _lists(evaluation: Evaluation) -> list[tuple[str, list[float | None]]]:
    return [
        (title(name), [metrics.get(f"{metric}@{evaluation.k}") for metric in _LIST_METRICS])
        for name, metrics in (evaluation.models | evaluation.baselines).items()
    ]


def _expected(evaluation: Evaluation) -> list[tuple[str, float, float | None, float, str]]:
    """The plan's ranges: (metric, low, high, reached, verdict)."""
    return [
        (metric, low, high, evaluation.means[metric], verdict(metric, evaluation.means[metric]))
        for metric, (low, high) in EXPECTED.items()
        if metric in evaluation.means
    ]
