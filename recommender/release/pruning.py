"""Removing releases that nobody needs any more."""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from recommender.release import list_releases, live_version

_PRUNED: Final = ".pruned-"
"""Begins the name of a folder that is no release any more and is being removed."""


@dataclass(frozen=True)
class Pruning:
    """Which releases go, and which stay and why, each oldest first."""

    removed: tuple[str, ...]
    kept: dict[str, str]
    """By version, the reason."""


def plan_pruning(releases: Path, keep: int) -> Pruning:
    """Say which releases can go.

    The newest stay, and whatever their age the live one, the one that `rollback` would go back to, and those
    of which a process on this machine has a file open: a service that has not switched yet.

    Args:
        releases: The folder of all releases.
        keep: How many of the newest stay.

    Raises:
        ReleaseError: it cannot be told which release is live.
        ValueError: `keep` is negative.
    """
    if keep < 0:
        raise ValueError(f"keep is {keep}; it counts releases and must not be negative")
    versions, live = list_releases(releases), live_version(releases)
    kept = dict.fromkeys(versions[max(0, len(versions) - keep) :], "one of the newest")
    if live is not None:
        kept |= dict.fromkeys([v for v in versions if v < live][-1:], "rollback goes back to it")
        kept |= {live: "live"} if live in versions else {}
    candidates = [version for version in versions if version not in kept]
    kept |= dict.fromkeys(_open_releases(releases, candidates), "a process has it open")
    return Pruning(
        tuple(version for version in versions if version not in kept),
        {version: kept[version] for version in versions if version in kept},
    )


def prune(releases: Path, keep: int) -> Pruning:
    """Remove the releases that `plan_pruning` names.

    Each is renamed first, and is no release from then on, so that one whose removal is interrupted is never
    taken for a whole one; the next call removes the rest of it.

    Args:
        releases: The folder of all releases.
        keep: How many of the newest stay.

    Returns:
        What was done.

    Raises:
        ReleaseError: it cannot be told which release is live; nothing is removed.
    """
    plan = plan_pruning(releases, keep)
    for leftover in releases.glob(f"{_PRUNED}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    removed, kept = [], dict(plan.kept)
    for version in plan.removed:
        aside = releases / f"{_PRUNED}{version}"
        (releases / version).rename(aside)
        # Somebody may have promoted it since the plan was made.
        if live_version(releases) == version:
            aside.rename(releases / version)
            kept[version] = "live"
            continue
        shutil.rmtree(aside)
        removed.append(version)
    return Pruning(tuple(removed), dict(sorted(kept.items())))


def folder_size(folder: Path) -> int:
    """Bytes that the files below a folder take on disk; holes in them, as an index has, take none."""
    return sum(file.lstat().st_blocks * 512 for file in folder.rglob("*"))


def _open_releases(releases: Path, versions: Sequence[str]) -> set[str]:
    """Those of which a process that may be asked has a file open or mapped."""
    if not versions:
        return set()
    folders = {version: f"{(releases / version).resolve()}/" for version in versions}
    found: set[str] = set()
    for process in psutil.process_iter():
        opened = mapped = ""
        with suppress(psutil.Error):
            opened = "\n".join(file.path for file in process.open_files())
        with suppress(OSError):
            # psutil would also have the memory of each counted, which takes many times longer.
            mapped = Path(f"/proc/{process.pid}/maps").read_text(encoding="utf-8", errors="replace")
        found |= {version for version, folder in folders.items() if folder in opened or folder in mapped}
    return found
