"""The `marquee runs` commands."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from pipelines.options import DEFAULT_ROOT, Root
from pipelines.releases_commands import find_release, told_verdict
from pipelines.run_record import RunRecord, find_run, read_runs, release_runs
from recommender.release import read_manifest

runs_app = typer.Typer(help="What ran, and where a release comes from.", no_args_is_help=True)
console = Console()

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

_WIDE = 200
_UNCUT = 10_000


@runs_app.command("list")
def list_all(
    limit: Annotated[int, typer.Option(help="How many of the newest.", min=1)] = 20,
    root: Root = DEFAULT_ROOT,
    as_json: Json = False,
) -> None:
    """List runs, newest first: from which data and code, how good, how long, what came of them."""
    records = read_runs(root)[:limit]
    if as_json:
        typer.echo(json.dumps([record.model_dump(mode="json") for record in records], indent=2))
        return
    if not records:
        console.print(f"Nothing has run in {root}.", soft_wrap=True)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("run", "state"):
        table.add_column(name, no_wrap=True)
    for name in ("NDCG", "took", "code"):
        table.add_column(name, no_wrap=True, justify="right")
    table.add_column("release", no_wrap=True)
    table.add_column("data", overflow="ellipsis", no_wrap=True)
    for record in records:
        table.add_row(
            record.id,
            record.state,
            _quality(record),
            _time(record.seconds),
            _short(record.git_commit),
            "" if record.release is None else f"{record.release[-8:]}{' forced' if record.forced else ''}",
            escape(f"{record.name}: {record.dataset or 'not read yet'}"),
        )
    # What is piped somewhere has no edge to keep within.
    (console if console.is_terminal else Console(width=_WIDE)).print(table)


@runs_app.command()
def show(
    run: Annotated[str, typer.Argument(help="The id of a run, how it begins, or `last`.")] = "last",
    root: Root = DEFAULT_ROOT,
    as_json: Json = False,
) -> None:
    """Show a run: its steps, what each took and made, and what a step that failed was given."""
    record = find_run(root, run)
    if as_json:
        typer.echo(record.model_dump_json(indent=2))
        return
    asked = [f"{name} {value}" for name, value in record.asked.items() if value]
    lines = [
        ("run", f"{record.id} ({record.name})"),
        ("state", record.state + ("" if record.failure is None else f": {record.failure}")),
        ("began", f"{record.began_at:%Y-%m-%d %H:%M:%S} UTC, took {_time(record.seconds) or 'not known'}"),
        ("asked for", ", ".join(asked)),
        ("data", f"{record.dataset or 'not read yet'} {_counts(record)}"),
        ("code", record.git_commit or "not known"),
        ("quality", _quality(record) or "not measured"),
        ("verdict", "; ".join(record.verdict) or ("nothing was required" if record.metrics else "none yet")),
        ("release", (record.release or "none") + (", forced" if record.forced else "")),
        ("MLflow run", record.mlflow_run_id or "none"),
        ("log", record.log),
    ]
    for name, value in lines:
        console.print(f"[bold]{name:<11}[/bold] {escape(value)}", soft_wrap=True, highlight=False)
    tree = Tree("[bold]steps[/bold]")
    _add_steps(tree, record, root)
    _print_uncut(tree)


@runs_app.command()
def lineage(
    release: Annotated[str, typer.Argument(help="A version, how one begins or ends, or `live`.")] = "live",
    root: Root = DEFAULT_ROOT,
    as_json: Json = False,
) -> None:
    """Follow a release back: source files, split, model, evaluation, code, libraries, and its runs."""
    folder = root / "releases"
    manifest = read_manifest(folder / find_release(folder, release))
    runs = release_runs(root, manifest.version)
    if as_json:
        known = manifest.model_dump(mode="json", exclude={"metrics"})
        told = [record.model_dump(mode="json") for record in runs]
        typer.echo(json.dumps({"release": known, "runs": told}, indent=2))
        return
    tree = Tree(f"[bold]release {manifest.version}[/bold]")
    source, split = manifest.data.get("source") or {}, manifest.data.get("split") or {}
    data = tree.add(escape(f"data: {manifest.dataset}"))
    for line in _source_lines(source):
        data.add(escape(line))
    parts = tree.add(escape(f"split: {split.get('protocol', 'not known')}, seed {split.get('seed', '?')}"))
    for name, part in (split.get("parts") or {}).items():
        parts.add(escape(f"{name}: {part['n_ratings']:,} ratings, sha256 {part['sha256']}"))
    model = tree.add(
        f"model: {len(manifest.files)} files, MLflow run {manifest.mlflow_run_id or 'not known'}"
    )
    model.add(f"content digest {manifest.content_digest}")
    for line in ("user_tower", "movie_tower", "ranker", "re_ranker"):
        if any(file.startswith(f"{line}/") for file in manifest.files):
            model.add(escape(str(folder / manifest.version / line)))
    if manifest.blessing is not None:
        tree.add(escape(f"evaluation: {told_verdict(manifest)}"))
    tree.add(escape(f"code: {manifest.git_commit or 'not known'}"))
    tree.add(escape("libraries: " + ", ".join(f"{k} {v}" for k, v in manifest.libraries.items())))
    for record in runs:
        branch = tree.add(escape(f"run {record.id}, {record.state}, log {record.log}"))
        _add_steps(branch, record, root)
    if not runs:
        tree.add(f"no run under {escape(str(root))} is known to have made it")
    _print_uncut(tree)


def _print_uncut(tree: Tree) -> None:
    # Paths and hashes are there to be copied.
    Console(width=_UNCUT).print(tree, soft_wrap=True, highlight=False)


def _source_lines(source: dict[str, Any]) -> list[str]:
    hashes = source.get("file_sha256") or {}
    lines = [f"{file}, sha256 {hashes.get(file, 'not noted')}" for file in source.get("files") or ()]
    if source.get("archive_sha256"):
        lines.insert(0, f"from {source.get('address')}, sha256 {source['archive_sha256']}")
    tables = {table: source.get(f"{table}_sha256") for table in ("ratings", "movies")}
    lines += [f"{table} as read, sha256 {sha256}" for table, sha256 in tables.items() if sha256]
    return lines


def _add_steps(tree: Tree, record: RunRecord, root: Path) -> None:
    for step in record.steps:
        took = "" if step.seconds is None else f", {_time(step.seconds)}"
        branch = tree.add(escape(f"{step.name}: {step.state}{took}"))
        if step.state in {"failed", "interrupted", "running"}:
            for name, folder in step.inputs.items():
                branch.add(escape(f"was given {name}: {_seen_from(root, folder)}"))
        for name, folder in step.outputs.items():
            gone = "" if Path(folder).exists() else " (removed since)"
            branch.add(escape(f"{name}: {_seen_from(root, folder)}{gone}"))


def _seen_from(root: Path, folder: str) -> str:
    """The folder as a person who gave that root would write it."""
    inside = Path(folder)
    return str(root / inside.relative_to(root.resolve())) if inside.is_relative_to(root.resolve()) else folder


def _short(commit: str | None) -> str:
    if commit is None:
        return ""
    return commit[:7] + ("+" if commit.endswith("-changed") else "")


def _quality(record: RunRecord) -> str:
    # The cut-off that everything is judged by: 10, or the first.
    names = sorted(
        (name for name in record.metrics if name.startswith("ndcg@")), key=lambda name: name != "ndcg@10"
    )
    return f"{record.metrics[names[0]]:.4f}" if names else ""


def _counts(record: RunRecord) -> str:
    told = ", ".join(f"{count:,} {name}" for name, count in record.counts.items())
    return f"({told})" if told else ""


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest:.0f} s" if minutes else f"{rest:.1f} s"
