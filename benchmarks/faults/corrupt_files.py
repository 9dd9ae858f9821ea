"""Files of a release and of the ratings damaged: refused by name, or the last good release goes on."""

import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from benchmarks.faults.differing_releases import two_releases
from benchmarks.faults.load import LONGEST_S, SHOWN
from benchmarks.faults.running_service import RunningService, refusal
from recommender.release.integrity import SET_BY_WRITER, content_digest, hash_parts
from recommender.release.manifest import MANIFEST
from recommender.sparse_copy import copy_sparse

logger = logging.getLogger("recommender.benchmarks.faults")

_KEY: Final = "an administrator's own key"
_CONFLICT: Final = 409
_READ_BY_THE_SERVICE: Final = (
    "movies.parquet",
    "users.parquet",
    "arrays/*",
    "online/*",
    "re_ranker/**/*",
    "index/*.json",
    "index/segments/*/*",
)


def _flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :] if content else b"\x01"


DAMAGES: Final[dict[str, Callable[[bytes], bytes | None]]] = {
    "one_bit": _flipped,
    "cut_short": lambda content: content[: len(content) // 2] if content else b"\x00",
    "emptied": lambda content: b"" if content else b"\x00",
    "overwritten": lambda content: b"\xa5" * max(len(content), 64),
    "missing": lambda _: None,
}
"""What becomes of a file's bytes; None removes the file."""


def corrupt_files(
    releases: Path, folder: Path, *, most: int | None = None, starts: int = 20
) -> dict[str, Any]:
    """Damage files of a release before a service switches to it, and before a start.

    - At a switch the service must refuse with 409, name the file in its log and serve the release it has; so
      it must where `current` is damaged, or names a damaged release.
    - At the start it must end with one message that names the file.
    - A release that was written with such a file, so that its checksums agree, must be refused or answer.

    Args:
        releases: folder of releases with a live one.
        folder: for the releases and the ratings.
        most: how many files are damaged in every way before a switch, spread over all of them; every one if
            None.
        starts: how many of those are damaged in one way before a start.
    """
    first, second = two_releases(releases, folder / "releases")
    damaged = folder / "releases" / second
    files = _spread(sorted(path for path in damaged.rglob("*") if path.is_file()), most)
    ways = list(DAMAGES)
    violations: list[str] = []
    with (
        RunningService(
            folder,
            releases=folder / "releases",
            ratings=f"sqlite:///{folder}/ratings.db",
            admin_keys=_KEY,
            requests_per_minute_key=0,
            requests_per_minute_address=0,
            release_check_seconds=0.05,
        ) as service,
        httpx.Client(base_url=service.address, timeout=LONGEST_S, headers={"X-API-Key": _KEY}) as client,
    ):
        for path in files:
            for way in ways:
                with _damage(path, way):
                    violations += _wrong_switch(service, client, second, str(path))
        logger.info("%d switches to a release that was damaged", len(files) * len(ways))
        for content in ("no release", "../../etc", "", f"{second[:-8]}00000000"):
            (folder / "releases" / "current").write_text(content)
            if not service.has_said(f"Release {first} is served on."):
                violations.append(f"current holds {content!r}, and nothing is said")
        (folder / "releases" / "current").write_text(first)
        written = _spread(_read_by_service(damaged), most)
        for path in written:
            for way in ("emptied", "overwritten"):
                violations += _wrong_written(client, damaged, path, way)
        logger.info("%d switches to a release that was written so", 2 * len(written))
        if (answer := _activated(client, second)).status_code != 200:
            violations.append(f"the whole release is refused: {answer.text[:300]}")
    if any("Traceback" in line for line in service.said):
        violations.append("the service wrote a traceback")
    started = _spread(files, starts)
    for number, path in enumerate(started):
        with _damage(path, ways[number % len(ways)]):
            violations += _wrong_start(str(path), release=damaged, ratings=f"sqlite:///{folder}/new.db")
    for way in ("overwritten", "cut_short"):
        store = folder / f"{way}.db"
        shutil.copy(folder / "ratings.db", store)
        with _damage(store, way):
            violations += _wrong_start(str(store), release=damaged, ratings=f"sqlite:///{store}")
    logger.info("%d starts with a damaged file", len(started) + 2)
    return {
        "files": len(files),
        "ways": ways,
        "switches_refused": len(files) * len(ways),
        "current_damaged": 4,
        "switches_to_what_was_written_so": 2 * len(written),
        "starts_refused": len(started) + 2,
        "violations": violations[:SHOWN],
    }


def _spread(paths: list[Path], most: int | None) -> list[Path]:
    return paths if most is None else paths[:: max(1, len(paths) // most)][:most]


def _read_by_service(release: Path) -> list[Path]:
    return sorted({path for glob in _READ_BY_THE_SERVICE for path in release.glob(glob) if path.is_file()})


@contextmanager
def _damage(path: Path, way: str) -> Iterator[None]:
    """A file is damaged until the context ends."""
    whole = path.read_bytes()
    content = DAMAGES[way](whole)
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(whole)


def _activated(client: httpx.Client, version: str) -> httpx.Response:
    return client.post(f"/api/v1/releases/{version}:activate")


def _wrong_switch(service: RunningService, client: httpx.Client, version: str, named: str) -> Iterator[str]:
    before = client.get("/readyz").json()["release"]
    answer = _activated(client, version)
    if answer.status_code != _CONFLICT or answer.headers["content-type"] != "application/problem+json":
        yield f"{named}: a switch is answered with {answer.status_code} {answer.text[:300]}"
    if not service.has_said(named):
        yield f"{named}: the log does not name it"
    served = client.get("/api/v1/recommendations/7?use_cache=false")
    if served.status_code != 200 or served.json()["release"] != before:
        yield f"{named}: then recommendations are {served.status_code} {served.text[:300]}"


def _wrong_written(client: httpx.Client, release: Path, path: Path, way: str) -> Iterator[str]:
    """What is wrong with a switch to a release that was written with a damaged file, and with its answers."""
    with tempfile.TemporaryDirectory() as copied:
        copy = Path(copied) / "release"
        shutil.copytree(release, copy, copy_function=copy_sparse)
        content = DAMAGES[way](path.read_bytes())
        (copy / path.relative_to(release)).write_bytes(content or b"")
        version = _with_checksums_that_agree(copy, release.parent)
    answer = _activated(client, version)
    if answer.status_code not in (200, _CONFLICT):
        yield f"{path} {way} as written: a switch is answered with {answer.status_code} {answer.text[:300]}"
    body = {"ratings": [{"movie_id": 1, "rating": 4.0}, {"movie_id": 5, "rating": 2.0}]}
    for served in (
        client.get("/api/v1/recommendations/7?use_cache=false&explain=true"),
        client.post("/api/v1/recommendations", json=body),
        client.get("/api/v1/movies"),
        client.get("/readyz"),
    ):
        if served.status_code != 200:
            yield f"{path} {way} as written: {served.url.path} {served.status_code} {served.text[:300]}"
    shutil.rmtree(release.parent / version)


def _with_checksums_that_agree(altered: Path, releases: Path) -> str:
    """Move an altered release among others, with a manifest as its writer would have left it."""
    manifest = json.loads((altered / MANIFEST).read_bytes())
    given = {name: value for name, value in manifest.items() if name not in SET_BY_WRITER}
    files = hash_parts({part.name: part for part in altered.iterdir() if part.name != MANIFEST})
    digest = content_digest(files, given)
    version = f"{manifest['version'].partition('-')[0]}-{digest[:8]}"
    manifest |= {"files": files, "content_digest": digest, "version": version}
    (altered / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    shutil.move(altered, releases / version)
    return version


def _wrong_start(named: str, **settings: Any) -> Iterator[str]:
    code, said = refusal(**settings)
    if code != 1 or named not in said or "Traceback" in said:
        yield f"{named}: a start ends with {code} and says {said[-500:]!r}"
