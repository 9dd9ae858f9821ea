"""What a run found, for the person who started it."""

from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from recommender.evaluation.result import TABLE_METRICS, Evaluation, title
from recommender.release import verify_release


def show_results(release: Path, report: str, console: Console) -> None:
    """Print the metrics of a release and what to do with it.

    Args:
        release: Its folder.
        report: Path of the evaluation's page.
        console: Where to.
    """
    manifest = verify_release(release)
    evaluation = Evaluation.model_validate(manifest.metrics)
    counts = manifest.counts
    console.print(
        f"\n{manifest.dataset}\n{counts.ratings:,} ratings, {counts.users:,} users, {counts.movies:,} movies"
    )
    if evaluation.means:
        console.print(evaluation_table(evaluation))
        overlap = evaluation.means.get("overlap@10")
        if overlap is not None:
            console.print(f"Two users share {overlap:.0%} of their ten recommendations on average.")
        console.print(f"Predicted ratings are off by {evaluation.ranking['rmse']:.3f} stars (RMSE).")
    else:
        console.print("Trained on everything: there is no test part to measure on.")
    console.print(f"Report: {report}", soft_wrap=True)
    console.print(f"Release {manifest.version} is live in {release}", soft_wrap=True)


def evaluation_table(evaluation: Evaluation) -> Table:
    """The metrics of a model and its baselines, as a table."""
    heading = f"{evaluation.protocol}, whole catalogue, {evaluation.n_users:,} test users"
    # Narrow enough for a terminal of 80 columns.
    table = Table(title=heading, box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("model", no_wrap=True)
    table.add_column("K", justify="right")
    for metric in TABLE_METRICS:
        table.add_column(metric, justify="right")
    last = None
    for model, k, values in evaluation.rows():
        if last not in (None, k):
            table.add_section()
        last = k
        style = "bold" if model == title(evaluation.judged) else ""
        table.add_row(model, str(k), *(f"{value:.4f}" for value in values), style=style)
    return table
