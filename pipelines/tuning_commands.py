"""The `marquee tune` command."""

import shlex
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipelines.options import DEFAULT_CONFIG, DEFAULT_ROOT, Config, Overrides, Root
from recommender.training.tuning.trials import Trials, shown, shown_score, shown_seconds

console = Console()

_SHOWN = 10
"""Trials in the table on the screen; the files have all of them."""


def tune(
    config: Config = DEFAULT_CONFIG,
    root: Root = DEFAULT_ROOT,
    overrides: Overrides = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Configurations tried at the same time; tuner.workers if not given.", min=1),
    ] = None,
) -> None:
    """Search hyperparameters, after the data steps where they are still to be run."""
    from pipelines.config import read_config
    from pipelines.run import run_pipeline

    wanted = [*(overrides or ()), "tuner.enabled=true"]
    settings = read_config(config, wanted if workers is None else [*wanted, f"tuner.workers={workers}"])
    try:
        made = run_pipeline(settings, root, console, "Tuner")
    except KeyboardInterrupt:
        Console(stderr=True).print(
            "Interrupted. Finished trials are kept: the same command goes on after them."
        )
        raise typer.Exit(130) from None
    _show(Trials.read(made))
    train = ["marquee", "run", "--config", str(config), "--root", str(root)]
    train += [word for setting in wanted for word in ("--set", setting)]
    for line in (
        f"Report: {made / 'trials.html'}",
        f"The best: {made / 'hyperparameters.json'}",
        f"To train and release with them: {shlex.join(train)}",
    ):
        console.print(escape(line), soft_wrap=True, highlight=False)


def _show(trials: Trials) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("trial", no_wrap=True)
    for heading in ("NDCG@10", "epochs", "s"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("with")
    ranked = trials.ranked()
    for trial in (*ranked[:_SHOWN], trials.start):
        words = ", ".join(f"{name} {shown(value)}" for name, value in trial.values.items())
        numbers = shown_score(trial), str(trial.epochs), shown_seconds(trial)
        table.add_row(trial.name, *numbers, escape(words))
    counted = f"The best {_SHOWN} of {len(ranked)}" if len(ranked) > _SHOWN else str(len(ranked))
    console.print(f"\n{counted} trials, judged by NDCG@10 on the validation part, and what they started from")
    console.print(table)
    if not trials.better_than_start:
        console.print("No trial was better than the configuration that they started from: it is kept.")
