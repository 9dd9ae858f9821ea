"""The `marquee index` commands."""

import logging
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler

from pipelines.options import DEFAULT_ROOT, Root
from recommender.errors import ReleaseError
from recommender.release import Release, list_releases

index_app = typer.Typer(help="Bring a Qdrant server to a release.", no_args_is_help=True)
console = Console()


@index_app.callback()
def index() -> None:
    """Bring a Qdrant server to a release."""


@index_app.command()
def sync(
    release: Annotated[
        str | None, typer.Option(help="Version of a release; the live one if not given.")
    ] = None,
    url: Annotated[
        str,
        typer.Option(envvar="QDRANT_URL", help="Address of the server; its key is read from QDRANT_API_KEY."),
    ] = "http://127.0.0.1:6333",
    timeout: Annotated[int, typer.Option(help="Seconds that each answer may take.", min=1)] = 60,
    shards: Annotated[int, typer.Option(help="Parts of a new collection, on a Qdrant cluster.", min=1)] = 1,
    replicas: Annotated[
        int, typer.Option(help="Copies of each part, on as many nodes of a Qdrant cluster.", min=1)
    ] = 1,
    root: Root = DEFAULT_ROOT,
) -> None:
    """Put a release's movies on a Qdrant server, check them there, then switch the server to them."""
    from recommender.retrieval.qdrant_index import ALIAS, collection_of, connect
    from recommender.retrieval.sync_index import sync_release

    opened = _open(root / "releases", release)
    client = connect(url, api_key=os.environ.get("QDRANT_API_KEY"), timeout_s=timeout)
    handler = RichHandler(console=console, show_time=False, show_level=False, show_path=False)
    logger = logging.getLogger("recommender")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        recall = sync_release(client, opened, shards=shards, replicas=replicas)
    except KeyboardInterrupt:
        Console(stderr=True).print(
            "Interrupted. The server goes on with what it had: the same command begins anew."
        )
        raise typer.Exit(130) from None
    finally:
        client.close()
        logger.setLevel(level)
        logger.removeHandler(handler)
    console.print(
        f"The server has release {opened.version}: {ALIAS} points to {collection_of(opened.version)}, "
        f"recall@100 {recall:.4f}",
        soft_wrap=True,
        highlight=False,
    )


def _open(releases: Path, version: str | None) -> Release:
    if version is None:
        return Release.open_live(releases)
    if version not in list_releases(releases):
        there = ", ".join(list_releases(releases)) or "none"
        raise ReleaseError(f"There is no release {version} in {releases}. There are: {there}.")
    return Release.load(releases / version)
