"""The tables of results, from the files that the benchmarks wrote."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from reference_pages.json_schema import table

RESULTS: Final = Path(__file__).parents[1] / "benchmarks" / "results"
_METRICS: Final = ("recall", "precision", "ndcg", "hit_rate", "map", "mrr", "coverage")
_KS: Final = (5, 10, 20)
_NAMES: Final = {
    "retrieval": "two towers",
    "two_stage": "two towers, re-ranked",
    "most_popular": "most popular",
    "recently_popular": "recently popular",
    "item_knn": "nearest neighbours",
    "ease": "EASE",
    "ials": "iALS",
}
_ABOUT = """# All results

Made from the files under `benchmarks/results` that `python -m benchmarks.quality` wrote. Means over the
seeds; the files also have each seed, intervals, seconds and the commit. [Models](../models.md) says what the
protocols are and what was tried, [The service](../service.md) how fast it answers.
"""


def quality_results() -> dict[str, dict[str, Any]]:
    """What the benchmark of quality has measured, by the name of its file."""
    return {
        file.stem: json.loads(file.read_text(encoding="utf-8"))
        for file in sorted(RESULTS.glob("quality-*.json"))
        if "cold" not in file.stem
    }


def results_page() -> str:
    """Every metric of every model, as Markdown."""
    return "\n\n".join([_ABOUT, *map(_measured, quality_results().values())]) + "\n"


def _measured(result: dict[str, Any]) -> str:
    seeds: Sequence[int] = result["seeds"]
    of = "seed" if len(seeds) == 1 else "seeds"
    parts = [
        f"## MovieLens {result['dataset'].upper()}, {result['protocol'].replace('p-', 'P-')}",
        f"{result['source']}; {of} {', '.join(map(str, seeds))}; `{result['command']}`, {result['date']}.",
    ]
    for k in _KS:
        header = (f"@{k}", *(metric.replace("_", " ") for metric in _METRICS))
        rows = [
            (_NAMES[name], *(f"{metrics[f'{metric}@{k}']:.4f}" for metric in _METRICS))
            for name, metrics in result["models"].items()
        ]
        parts.append(table(header, rows))
    if "rmse" in result:
        parts.append(f"Predicted ratings are off by {result['rmse']:.3f} stars (RMSE).")
    return "\n\n".join(parts)
