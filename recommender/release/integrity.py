"""Whether the files of a release are those that its manifest names."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from recommender.errors import ReleaseError
from recommender.release.manifest import (
    MANIFEST,
    PROBLEMS_SHOWN,
    WRITE_AGAIN,
    Manifest,
    manifest_of,
    raw_manifest,
)

TIME: Final = "%Y%m%dT%H%M%SZ"
SET_BY_WRITER: Final = frozenset({"format", "version", "created_at", "content_digest", "files"})
_OF_THE_RUN: Final = frozenset({"git_commit", "run_fingerprint", "mlflow_run_id"})


def verify_release(folder: Path) -> Manifest:
    """Read a release's manifest and check every file against it.

    Raises:
        ReleaseError: a file that is missing, altered or not in the manifest (each named, at most ten), or a
            manifest that is not whole.
    """
    path, raw = folder / MANIFEST, raw_manifest(folder)
    manifest = manifest_of(raw, str(path))

    problems = list(_differences(folder, manifest.files))
    given = {key: value for key, value in raw.items() if key not in SET_BY_WRITER}
    if not problems and content_digest(manifest.files, given) != manifest.content_digest:
        problems.append(f"{path} was altered: its content digest does not fit what it says")
    if not problems and not _is_named_after_its_content(manifest):
        problems.append(f"{path} was altered: version and created_at do not fit the content")
    if problems:
        shown = problems[:PROBLEMS_SHOWN]
        more = [f"and {len(problems) - len(shown)} more"] if len(problems) > len(shown) else []
        raise ReleaseError(
            f"Release {manifest.version} cannot be trusted: {'; '.join(shown + more)}. {WRITE_AGAIN}"
        )
    return manifest


def _differences(folder: Path, files: Mapping[str, str]) -> Iterator[str]:
    present = {entry.relative_to(folder).as_posix(): entry for entry in _entries(folder)}
    present.pop(MANIFEST, None)
    for name, digest in sorted(files.items()):
        entry = present.pop(name, None)
        if entry is None:
            yield f"{folder / name} is missing"
        elif entry.is_symlink():
            yield f"{entry} is a link, not a file"
        else:
            try:
                if _hash(entry) != digest:
                    yield f"{entry} was altered"
            except OSError as error:
                yield f"{entry} cannot be read ({error.strerror})"
    for entry in present.values():
        yield f"{entry} is not in the manifest"


def _entries(folder: Path) -> list[Path]:
    """All files and links below a folder, without following links."""
    entries: list[Path] = []
    for root, folders, names in os.walk(folder):
        entries += [Path(root, name) for name in names]
        entries += [link for link in (Path(root, name) for name in folders) if link.is_symlink()]
    return entries


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_parts(parts: Mapping[str, Path]) -> dict[str, str]:
    """sha256 of every file of some files and folders, by path relative to the release."""
    files: dict[str, str] = {}
    for name, source in parts.items():
        if source.is_dir():
            below = [
                Path(root, file) for root, _, names in os.walk(source, followlinks=True) for file in names
            ]
            files |= {f"{name}/{entry.relative_to(source).as_posix()}": _hash(entry) for entry in below}
        else:
            files[name] = _hash(source)
    return files


def _is_named_after_its_content(manifest: Manifest) -> bool:
    time, _, digest = manifest.version.partition("-")
    try:
        moment = datetime.strptime(time, TIME).replace(tzinfo=UTC)
    except ValueError:
        return False
    return manifest.content_digest.startswith(digest) and manifest.created_at == written_time(moment)


def written_time(moment: datetime) -> str:
    """A moment as a manifest has it."""
    return moment.isoformat().replace("+00:00", "Z")


def content_digest(files: Mapping[str, str], given: Mapping[str, Any]) -> str:
    """sha256 over the files' hashes and everything in a manifest that its writer was given."""
    # These say which run and code it was, not what is in the release: another one makes no other release.
    manifest = {key: value for key, value in given.items() if key not in _OF_THE_RUN}
    canonical = json.dumps(
        {"files": sorted(files.items()), "manifest": manifest}, sort_keys=True, separators=(",", ":")
    )
    return hashlib.sha256(canonical.encode()).hexdigest()
