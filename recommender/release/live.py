"""Which releases there are, and which one is live."""

import secrets
from pathlib import Path
from typing import Final

from recommender.errors import ReleaseError
from recommender.release.integrity import verify_release
from recommender.release.manifest import VERSION
from recommender.release.synced import sync

_CURRENT: Final = "current"
_MEND_CURRENT: Final = "Mend it with `marquee releases promote VERSION`."


def list_releases(releases: Path) -> list[str]:
    """Versions of all releases, oldest first; empty where there is no such folder."""
    if not releases.is_dir():
        return []
    return sorted(
        entry.name for entry in releases.iterdir() if entry.is_dir() and VERSION.fullmatch(entry.name)
    )


def live_version(releases: Path) -> str | None:
    """The version that `current` names, or None where nothing was promoted yet.

    Raises:
        ReleaseError: `current` holds something that is not a version.
    """
    path = releases / _CURRENT
    try:
        version = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ReleaseError(f"{path} cannot be read: {error}. {_MEND_CURRENT}") from error
    if not VERSION.fullmatch(version):
        raise ReleaseError(f"{path} holds {version[:80]!r}, which is no release. {_MEND_CURRENT}")
    return version


def promote(releases: Path, version: str) -> None:
    """Make a release the live one, after checking that it is whole.

    Raises:
        ReleaseError: no such release, or one that is incomplete or altered; the live release stays.
    """
    if not VERSION.fullmatch(version):
        raise ReleaseError(f"{version!r} is no release version. There are: {_names(releases)}.")
    if not (releases / version).is_dir():
        raise ReleaseError(f"There is no release {version} in {releases}. There are: {_names(releases)}.")
    verify_release(releases / version)
    staging = releases / f".{_CURRENT}-{secrets.token_hex(8)}"
    try:
        staging.write_text(version + "\n", encoding="utf-8")
        sync(staging)
        staging.replace(releases / _CURRENT)
    except BaseException:
        staging.unlink(missing_ok=True)
        raise
    sync(releases)


def rollback(releases: Path) -> str:
    """Make the release before the live one live again, and return its version.

    Raises:
        ReleaseError: nothing is live, or nothing older is there, or the older one is not whole.
    """
    live = live_version(releases)
    if live is None:
        raise ReleaseError(f"No release in {releases} is live, so there is nothing to roll back.")
    older = [version for version in list_releases(releases) if version < live]
    if not older:
        raise ReleaseError(f"{live} is the oldest release in {releases}: there is none to roll back to.")
    promote(releases, older[-1])
    return older[-1]


def _names(releases: Path) -> str:
    return ", ".join(list_releases(releases)) or "none"
