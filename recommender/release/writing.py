"""Writing a release: a reader sees a whole one or none."""

import json
import secrets
import shutil
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any, Final

from recommender.errors import ReleaseError
from recommender.release.arrays import write_arrays
from recommender.release.integrity import (
    SET_BY_WRITER,
    TIME,
    content_digest,
    hash_parts,
    verify_release,
    written_time,
)
from recommender.release.live import list_releases
from recommender.release.loaded import Release
from recommender.release.manifest import ARRAYS, FORMAT, MANIFEST, PARTS, manifest_of, raw_manifest
from recommender.release.synced import sync, sync_tree
from recommender.sparse_copy import copy_sparse

_STAGING: Final = ".staging-"
_STAGING_LIFETIME_S: Final = 3600.0


def write_release(releases: Path, parts: Mapping[str, Path], manifest: Mapping[str, Any]) -> str:
    """Write a new release and return its version; a reader sees a whole release or none.

    The same parts and the same manifest give the release that exists already, and nothing is written.

    Args:
        releases: the folder of all releases; made if it is not there.
        parts: every name of `PARTS`, and any more, with the file or folder to copy.
        manifest: the manifest's keys without `format`, `version`, `created_at`, `content_digest` and
            `files`, which are set here.

    Raises:
        ReleaseError: a part that is missing, empty or changes while it is copied, tables that do not agree
            with each other, or a manifest that does not fit.
    """
    _check_parts(parts)
    given = _plain(manifest)
    releases.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(releases)
    staging = releases / f"{_STAGING}{secrets.token_hex(8)}"
    staging.mkdir()
    try:
        write_arrays(
            parts["movies.parquet"], parts["users.parquet"], parts["history.parquet"], staging / ARRAYS
        )
        files = hash_parts({**parts, ARRAYS: staging / ARRAYS})
        digest = content_digest(files, given)
        version = _with_digest(releases, digest)
        if version is None:
            version = _write(staging, parts, given, files, digest)
            staging.rename(releases / version)
            sync(releases)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return version


def copy_release(folder: Path, releases: Path) -> Path:
    """Write a release into another folder of releases, after checking that it is whole; none is promoted.

    Args:
        folder: The release.
        releases: The folder of releases to write it into; made if it is not there.

    Returns:
        The folder of the copy. Its version tells another time, and its content digest is the same.

    Raises:
        ReleaseError: the release is not whole.
    """
    verify_release(folder)
    raw = raw_manifest(folder)
    parts = {PurePosixPath(path).parts[0] for path in raw["files"]} - {ARRAYS}
    given = {key: value for key, value in raw.items() if key not in SET_BY_WRITER}
    return releases / write_release(releases, {name: folder / name for name in sorted(parts)}, given)


def _write(
    staging: Path, parts: Mapping[str, Path], given: Mapping[str, Any], files: Mapping[str, str], digest: str
) -> str:
    """Put everything but the arrays, which are there, into a folder, and return the version."""
    moment = _next_moment(staging.parent)
    version = f"{moment.strftime(TIME)}-{digest[:8]}"
    whole = {
        **given,
        "format": FORMAT,
        "version": version,
        "created_at": written_time(moment),
        "content_digest": digest,
        "files": files,
    }
    manifest = manifest_of(whole, "the manifest given to write_release")
    for name, source in parts.items():
        if source.is_dir():
            shutil.copytree(source, staging / name, copy_function=copy_sparse)
        else:
            copy_sparse(source, staging / name)
    if hash_parts({name: staging / name for name in (*parts, ARRAYS)}) != files:
        raise ReleaseError(
            f"The parts of release {version} changed while they were copied into {staging.parent}. "
            "Nothing was released: make sure that nothing writes to them, then write the release again."
        )
    Release.of_verified(staging, manifest)
    (staging / MANIFEST).write_text(json.dumps(whole, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    sync_tree(staging)
    return version


def _check_parts(parts: Mapping[str, Path]) -> None:
    missing = [name for name in PARTS if name not in parts]
    missing += [f"{name} ({source} is not there)" for name, source in parts.items() if not source.exists()]
    missing += [
        f"{name} ({source} holds no file)"
        for name, source in parts.items()
        if source.is_dir() and not any(entry.is_file() for entry in source.rglob("*"))
    ]
    if missing:
        raise ReleaseError(
            f"A release without {', '.join(missing)} is not written: give every part of {PARTS}."
        )
    odd = [
        name
        for name in parts
        if PurePosixPath(name).name != name or name.startswith(".") or name in (MANIFEST, ARRAYS)
    ]
    if odd:
        raise ReleaseError(f"Parts cannot be called {odd}: give plain names such as {PARTS[0]!r}.")


def _plain(manifest: Mapping[str, Any]) -> dict[str, Any]:
    taken = sorted(SET_BY_WRITER & manifest.keys())
    if taken:
        raise ReleaseError(f"write_release sets {taken} itself: leave them out of the manifest.")
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(manifest), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ReleaseError(f"The manifest cannot be written as JSON: {error}.") from error
    return plain


def _with_digest(releases: Path, digest: str) -> str | None:
    for version in list_releases(releases):
        if version.endswith(f"-{digest[:8]}"):
            try:
                if verify_release(releases / version).content_digest == digest:
                    return version
            except ReleaseError:
                continue
    return None


def _next_moment(releases: Path) -> datetime:
    """Now, or just after the newest release, so that names sort by age whatever the clock does."""
    now = datetime.now(UTC).replace(microsecond=0)
    versions = list_releases(releases)
    if not versions:
        return now
    newest = datetime.strptime(versions[-1].split("-")[0], TIME).replace(tzinfo=UTC)
    return max(now, newest + timedelta(seconds=1))


def _remove_leftovers(releases: Path) -> None:
    for entry in releases.glob(f"{_STAGING}*"):
        try:
            age = time.time() - entry.stat().st_mtime
        except FileNotFoundError:
            continue
        if age > _STAGING_LIFETIME_S:
            shutil.rmtree(entry, ignore_errors=True)
