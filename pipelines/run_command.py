"""The `marquee run` command."""

from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from pipelines.options import DEFAULT_CONFIG, DEFAULT_ROOT, Config, Overrides, Root
from recommender.errors import MarqueeError

console = Console()


def run(
    config: Config = DEFAULT_CONFIG,
    root: Root = DEFAULT_ROOT,
    overrides: Overrides = None,
    until: Annotated[
        str | None, typer.Option(help="The last step to run, such as Transform: the data steps alone.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Run this step and those after it anew; those before come from the cache or it ends.",
        ),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(help="Run this step alone anew; those before come from the cache or it ends."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say which steps would run and which the cache would answer.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Release the model even if it is not good enough; this is recorded."),
    ] = False,
) -> None:
    """Run the pipeline: from raw files to a live release."""
    from pipelines.config import read_config
    from pipelines.results import show_results
    from pipelines.run import run_pipeline
    from recommender.push import Pushed

    start, until = _asked(until, start, only)
    if force and until != "Pusher":
        raise MarqueeError(f"--force is for Pusher, and {until} is the last step: leave one of them out.")
    settings = read_config(config, overrides or ())
    if dry_run:
        from pipelines.run_plan import plan_run

        plan = plan_run(settings, root, until, start=start)
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in ("step", "would", "because"):
            table.add_column(column, no_wrap=column != "because", overflow="fold")
        for step in plan.steps:
            table.add_row(step.step, "run" if step.runs else "come from the cache", step.reason)
        console.print(table)
        for line in plan.unknown:
            console.print(line, soft_wrap=True, highlight=False)
        return
    try:
        made = run_pipeline(settings, root, console, until, start=start, force=force)
    except KeyboardInterrupt:
        Console(stderr=True).print(
            "Interrupted. Finished steps are kept: the same command goes on after them."
        )
        raise typer.Exit(130) from None
    if until != "Pusher":
        console.print(f"What {until} made: {made}", soft_wrap=True)
        return
    pushed = Pushed.read(made)
    if pushed.version is None:
        raise MarqueeError(
            f"Not released, because the model is not good enough: {'; '.join(pushed.reasons)}. "
            "The live release, if there is one, stays. Train a better model, or lower evaluator.minimum or "
            "evaluator.minimum_over; with --force it is released all the same."
        )
    show_results(root / "releases" / pushed.version, pushed.report, console)
    if pushed.forced:
        console.print(
            f"[yellow]warning:[/yellow] released by --force: {'; '.join(pushed.reasons)}.",
            soft_wrap=True,
            highlight=False,
        )


def _asked(until: str | None, start: str | None, only: str | None) -> tuple[str | None, str]:
    """The first step that must run, if any is named, and the last."""
    from pipelines.movielens import STEPS

    for option, step in (("--until", until), ("--from", start), ("--only", only)):
        if step is not None and step not in STEPS:
            raise MarqueeError(f"{option} {step}: there is no such step; the steps are {', '.join(STEPS)}.")
    if only is not None:
        if start is not None or until is not None:
            raise MarqueeError("--only names the one step to run: leave --from and --until out.")
        return only, only
    order = list(STEPS)
    last = until or order[-1]
    if start is not None and order.index(start) > order.index(last):
        raise MarqueeError(f"--from {start} comes after --until {last}: nothing would run.")
    return start, last
