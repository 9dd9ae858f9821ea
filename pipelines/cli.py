"""The `marquee` command."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipelines.data_commands import data_app
from pipelines.explain_command import explain
from pipelines.index_commands import index_app
from pipelines.options import DEFAULT_CONFIG, DEFAULT_ROOT, Config, Overrides, Root
from pipelines.releases_commands import releases_app
from pipelines.run_command import run
from pipelines.runs_commands import runs_app
from pipelines.tuning_commands import tune
from recommender.counted import counted
from recommender.errors import MarqueeError
from recommender.release import Release
from recommender.retrieval.batch import recommend_all, write_table
from recommender.retrieval.exact_index import ExactMovieIndex
from recommender.retrieval.recommend import Recommender

app = typer.Typer(
    help="From a table of ratings to a live movie recommendation service.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(run)
app.add_typer(runs_app, name="runs")
app.add_typer(releases_app, name="releases")
app.add_typer(data_app, name="data")
app.add_typer(index_app, name="index")
app.command()(tune)
app.command()(explain)
console = Console()

ReleaseFolder = Annotated[
    Path | None, typer.Option(help="A particular release's folder; the live one under --root if not given.")
]


@app.command()
def serve(
    release: ReleaseFolder = None,
    root: Annotated[
        Path | None, typer.Option(help="Where releases live; var if not given.", file_okay=False)
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1 if not given.")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on, 0 for any; 8000 if not given.", min=0, max=65535)
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="How many processes answer; 1 if not given.", min=1, max=64)
    ] = None,
    development: Annotated[
        bool, typer.Option("--development", help="Let anybody on this machine write without a key.")
    ] = False,
) -> None:
    """Serve a release over REST, with a page at /. MARQUEE_* variables say what options do not."""
    from serving.app import serve as serve_release
    from serving.settings import Settings

    variables = dict(os.environ)
    if root is not None:
        variables.pop("MARQUEE_RELEASE", None)  # an option goes before a variable
    releases = root / "releases" if root is not None else None
    serve_release(
        Settings.from_environment(
            variables,
            releases=releases,
            release=release,
            host=host,
            port=port,
            workers=workers,
            development=development or None,
        )
    )


@app.command()
def recommend(
    user: Annotated[int | None, typer.Option(help="Recommend to this user.")] = None,
    limit: Annotated[
        int | None, typer.Option(help="With --user: how many movies; 10 if not given.", min=1)
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Recommend to every user.")] = False,
    k: Annotated[
        int | None, typer.Option(help="With --all: how many movies for each; 10 if not given.", min=1)
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="With --all: Parquet file to write.", dir_okay=False)
    ] = None,
    release: ReleaseFolder = None,
    root: Root = DEFAULT_ROOT,
) -> None:
    """Recommend movies to one user (--user), or to everybody into a file (--all --output)."""
    if everybody == (user is not None):
        raise MarqueeError("Give either --user ID, or --all with --output FILE.parquet.")
    if everybody and limit is not None:
        raise MarqueeError("--limit goes with --user; with --all, --k says how many movies.")
    if user is not None and (k is not None or output is not None):
        raise MarqueeError("--k and --output go with --all; with --user, --limit says how many movies.")
    if everybody and (output is None or output.suffix != ".parquet"):
        raise MarqueeError("--all writes a Parquet file: give --output FILE.parquet.")
    opened = Release.load(release) if release else Release.open_live(root / "releases")
    if user is not None:
        _recommend_to_one(opened, user, limit or 10)
    elif output is not None:
        table = recommend_all(opened, k or 10)
        write_table(table, output)
        console.print(f"{table.num_rows:,} recommendations of release {opened.version} in {output}")


def _recommend_to_one(release: Release, user: int, limit: int) -> None:
    # One question is answered sooner by one matrix product than by opening the index.
    index = ExactMovieIndex(release.movie_ids, release.movie_vectors)
    found = Recommender(release, index).recommend(user, limit)
    if found.strategy == "popular":
        console.print(f"User {user} is not known to release {release.version}: these are popular movies.")
    table = Table(title=f"Recommended to user {user}")
    columns = (("#", "right"), ("movie", "left"), ("genres", "left"), ("score", "right"), ("stars", "right"))
    for name, justify in columns:
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for rank, scored in enumerate(found.movies, start=1):
        movie = release.movie(scored.movie_id)
        score = f"{scored.score:.3f}"
        if found.strategy == "popular":
            score = counted(round(scored.score), "rating")
        stars = "" if scored.predicted_rating is None else f"{scored.predicted_rating:.1f}"
        table.add_row(str(rank), escape(movie.title), escape(", ".join(movie.genres)), score, stars)
    console.print(table)


@app.command("compile")
def compile_pipeline(
    config: Config = DEFAULT_CONFIG,
    root: Annotated[Path, typer.Option(help="Where the volume that all steps share is mounted.")] = Path(
        "/marquee"
    ),
    overrides: Overrides = None,
    output: Annotated[Path, typer.Option(help="YAML file to write.", dir_okay=False)] = Path("pipeline.yaml"),
) -> None:
    """Write the pipeline as Kubeflow Pipelines YAML."""
    from kfp import compiler

    from pipelines.config import read_config
    from pipelines.movielens import movielens_pipeline

    if output.suffix not in {".yaml", ".yml"}:
        raise MarqueeError(f"--output {output}: give a name that ends in .yaml.")
    output.parent.mkdir(parents=True, exist_ok=True)
    pipeline = movielens_pipeline(read_config(config, overrides or ()), root, on_cluster=True)
    compiler.Compiler().compile(pipeline, str(output))
    console.print(f"The pipeline is in {output}")


def main() -> None:
    """Run the command; a mistake that a person can mend ends in one message, not in a traceback."""
    try:
        app()
    except (MarqueeError, OSError) as error:
        Console(stderr=True).print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True, highlight=False)
        sys.exit(1)
