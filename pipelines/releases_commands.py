"""The `marquee releases` commands."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipelines.options import DEFAULT_ROOT, Root
from pipelines.tracking_server import tracking_database, tracking_server
from recommender.counted import counted
from recommender.errors import MarqueeError, ReleaseError
from recommender.release import Manifest, list_releases, live_version, promote, read_manifest, rollback
from recommender.release.pruning import folder_size, plan_pruning, prune

if TYPE_CHECKING:
    from recommender.release.differences import MetricPair

releases_app = typer.Typer(
    help="List, show and compare releases, promote one, roll back, remove old ones.", no_args_is_help=True
)
console = Console()

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Named = Annotated[str, typer.Argument(help="A version, how one begins or ends, or `live`.")]

FOLLOWS = "A service that is running follows within seconds."


@releases_app.command("list")
def list_all(root: Root = DEFAULT_ROOT, as_json: Json = False) -> None:
    """List releases, oldest first; the live one is marked, and those that were forced."""
    folder = root / "releases"
    live = live_version(folder)
    rows = [_row(folder / version, live) for version in list_releases(folder)]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        console.print(f"There is no release in {folder}: `marquee run` makes one.", soft_wrap=True)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("release", no_wrap=True)
    for name in ("written", "ratings", "NDCG", "size"):
        table.add_column(name, no_wrap=True, justify="right")
    table.add_column("")
    for row in rows:
        told = [word for word in ("live", "forced") if row[word]]
        table.add_row(
            row["version"],
            (row["created_at"] or "")[:10],
            "" if row["ratings"] is None else f"{row['ratings']:,}",
            "" if row["value"] is None else f"{row['value']:.4f}",
            _megabytes(row["bytes"]),
            ", ".join(told),
            style="bold" if row["live"] else "",
        )
    console.print(table)
    for row in rows:
        if row["problem"]:
            console.print(f"{row['version']}: {escape(str(row['problem']))}", soft_wrap=True)


def _row(folder: Path, live: str | None) -> dict[str, Any]:
    # Evaluations bring the table engine along, which takes a second to import.
    from recommender.release.differences import evaluation_of

    row: dict[str, Any] = {
        "version": folder.name,
        "live": folder.name == live,
        "forced": False,
        "created_at": None,
        "dataset": None,
        "ratings": None,
        "metric": None,
        "value": None,
        "bytes": folder_size(folder),
        "problem": None,
    }
    try:
        manifest = read_manifest(folder)
    except ReleaseError:
        return row | {"problem": "its manifest cannot be read"}
    evaluation = evaluation_of(manifest)
    if evaluation is not None and evaluation.means:
        metric = f"ndcg@{evaluation.k}"
        row |= {"metric": metric, "value": evaluation.means[metric]}
    return row | {
        "forced": manifest.blessing is not None and manifest.blessing.forced,
        "created_at": manifest.created_at,
        "dataset": manifest.dataset,
        "ratings": manifest.counts.ratings,
    }


@releases_app.command()
def show(release: Named = "live", root: Root = DEFAULT_ROOT, as_json: Json = False) -> None:
    """Show a release: its data, how good it is, what it was judged by and where it comes from."""
    from pipelines.results import evaluation_table
    from recommender.release.differences import evaluation_of

    folder = root / "releases"
    manifest = read_manifest(folder / find_release(folder, release))
    if as_json:
        typer.echo(manifest.model_dump_json(indent=2))
        return
    counts = manifest.counts
    is_live = " (live)" if manifest.version == live_version(folder) else ""
    lines = [
        ("release", f"{manifest.version}{is_live}"),
        ("written", manifest.created_at),
        ("data", manifest.dataset),
        (
            "holds",
            f"{counted(counts.ratings, 'rating')}, {counted(counts.users, 'user')}, "
            f"{counted(counts.movies, 'movie')}, vectors of {manifest.dimension}",
        ),
        ("verdict", told_verdict(manifest)),
        ("code", manifest.git_commit or "not known"),
        ("MLflow run", manifest.mlflow_run_id or "not known"),
        ("size", f"{_megabytes(folder_size(folder / manifest.version))} in {len(manifest.files)} files"),
    ]
    for name, value in lines:
        console.print(f"[bold]{name:<11}[/bold] {escape(value)}", soft_wrap=True, highlight=False)
    evaluation = evaluation_of(manifest)
    if evaluation is not None and evaluation.means:
        console.print(evaluation_table(evaluation))


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.1f} MB"


def told_verdict(manifest: Manifest) -> str:
    """What a release's model was judged by, and whether it was forced."""
    if manifest.blessing is None:
        return "not noted"
    how = "blessed" if manifest.blessing.blessed else "not blessed"
    forced = ", released by --force" if manifest.blessing.forced else ""
    return f"{how}{forced}: {'; '.join(manifest.blessing.reasons) or 'nothing was required'}"


@releases_app.command()
def diff(first: Named, second: Named = "live", root: Root = DEFAULT_ROOT, as_json: Json = False) -> None:
    """Compare two releases: configuration, data, counts, code and metrics."""
    from recommender.release.differences import release_differences

    folder = root / "releases"
    versions = [find_release(folder, name) for name in (first, second)]
    found = release_differences(*(read_manifest(folder / version) for version in versions))
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
        return
    fields = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="What differs")
    fields.add_column("field", overflow="fold")
    for version in versions:
        fields.add_column(version, overflow="fold", min_width=len(version))
    for name, values in found.fields.items():
        fields.add_row(escape(name), *("" if value is None else escape(str(value)) for value in values))
    if found.fields:
        console.print(fields)
    else:
        console.print("Configuration, data and code are the same.")
    metrics = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="Metrics, with 95 % intervals")
    for name in ("metric", *versions):
        metrics.add_column(name)
    for pair in found.metrics:
        metrics.add_row(pair.name, *_sides(pair))
    if found.metrics:
        console.print(metrics)
    if not found.same_test_part:
        console.print("They were not judged on the same test part: their metrics cannot be compared.")


def _sides(pair: "MetricPair") -> tuple[str, str]:
    sides = ((pair.first, pair.first_interval), (pair.second, pair.second_interval))
    told = []
    for value, interval in sides:
        text = "-" if value is None else f"{value:.4f}"
        told.append(f"{text} ({interval[0]:.4f} to {interval[1]:.4f})" if interval else text)
    return told[0], told[1]


@releases_app.command("promote")
def promote_one(version: Annotated[str, typer.Argument()], root: Root = DEFAULT_ROOT) -> None:
    """Make a release the live one."""
    promote(root / "releases", version)
    console.print(f"Release {version} is live. {FOLLOWS}")
    _keep_registry_in_step(root)


@releases_app.command("rollback")
def roll_back(root: Root = DEFAULT_ROOT) -> None:
    """Make the release before the live one live again."""
    console.print(f"Release {rollback(root / 'releases')} is live. {FOLLOWS}")
    _keep_registry_in_step(root)


@releases_app.command("prune")
def prune_old(
    keep: Annotated[int, typer.Option(help="How many of the newest releases stay.", min=0)] = 5,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    root: Root = DEFAULT_ROOT,
) -> None:
    """Remove old releases, never the live one, nor what rollback goes back to, nor one that is in use."""
    folder = root / "releases"
    done = plan_pruning(folder, keep) if dry_run else prune(folder, keep)
    for version, reason in done.kept.items():
        console.print(f"kept     {version}  [dim]{reason}[/dim]", highlight=False)
    for version in done.removed:
        console.print(f"{'would go' if dry_run else 'removed '} {version}", highlight=False)
    if not done.removed:
        console.print("There is nothing to remove.")


def find_release(releases: Path, name: str) -> str:
    """The version that a person means.

    Args:
        releases: The folder of all releases.
        name: A version, how one begins or ends, or `live`.

    Raises:
        MarqueeError: there is none, or there are several.
    """
    if name == "live":
        live = live_version(releases)
        if live is None:
            raise MarqueeError(f"No release in {releases} is live.")
        return live
    versions = list_releases(releases)
    found = [version for version in versions if version.startswith(name) or version.endswith(name)]
    if len(found) != 1:
        what = "Several releases" if found else "No release"
        raise MarqueeError(
            f"{what} in {releases} {'are' if found else 'is'} called {name!r}. There are: "
            f"{', '.join(versions) or 'none'}."
        )
    return found[0]


def _keep_registry_in_step(root: Path) -> None:
    """Let MLflow's registry follow, where there is one; a warning is what becomes of one that cannot."""
    server, database = tracking_server(), tracking_database(root)
    if server is None and not database.is_file():
        return
    from recommender.model_registry import keep_in_step

    if not keep_in_step(server or f"sqlite:///{database.resolve()}", root / "releases"):
        console.print("MLflow's model registry did not follow.")
