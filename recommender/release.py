"""The release folder: write, verify, load, promote and roll back.

`releases/<version>/` is complete in itself: the models, every movie and user with its vector, what users have
rated and the vector index, with a manifest that says where it all came from and how good it is.
`releases/current` is a small text file that holds the live version's name.
"""

import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Final, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recommender.data.columns import Columns
from recommender.data.rating_scale import HALF_STARS, RatingScale
from recommender.errors import ReleaseError
from recommender.sparse_copy import copy_sparse

FORMAT: Final = 1
PARTS: Final = (
    "user_tower",
    "movie_tower",
    "ranker",
    "movies.parquet",
    "users.parquet",
    "history.parquet",
    "index",
)
"""What every release holds; a writer may add more beside them."""
OPTIONAL_PARTS: Final = ("online", "re_ranker")
"""What a release may hold as well: models that the service computes with, and those that order anew."""

MOVIES_SCHEMA: Final = pa.schema(
    [
        (Columns.MOVIE_ID, pa.int64()),
        (Columns.TITLE, pa.string()),
        (Columns.GENRES, pa.list_(pa.string())),
        (Columns.RELEASE_YEAR, pa.int32()),
        ("rating_count", pa.int64()),
        ("rating_mean", pa.float64()),
        (Columns.EMBEDDING, pa.list_(pa.float32())),
    ]
)
"""Columns of `movies.parquet`, sorted by `movie_id`."""
USERS_SCHEMA: Final = pa.schema(
    [
        (Columns.USER_ID, pa.int64()),
        ("rating_count", pa.int64()),
        (Columns.EMBEDDING, pa.list_(pa.float32())),
    ]
)
"""Columns of `users.parquet`, sorted by `user_id`."""
HISTORY_SCHEMA: Final = pa.schema(
    [
        (Columns.USER_ID, pa.int64()),
        (Columns.MOVIE_ID, pa.int64()),
        (Columns.RATING, pa.float32()),
        (Columns.TIMESTAMP, pa.int64()),
    ]
)
"""Columns of `history.parquet`, sorted by `user_id`, then `timestamp`."""

_MANIFEST: Final = "manifest.json"
_CURRENT: Final = "current"
_STAGING: Final = ".staging-"
_STAGING_LIFETIME_S: Final = 3600.0
_VERSION: Final = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
_TIME: Final = "%Y%m%dT%H%M%SZ"
_SET_BY_WRITER: Final = frozenset({"format", "version", "created_at", "content_digest", "files"})
_OF_THE_RUN: Final = frozenset({"git_commit", "run_fingerprint", "mlflow_run_id"})
_PROBLEMS_SHOWN: Final = 10
_WRITE_AGAIN: Final = "Write the release again with the pipeline, or serve another one."
_MEND_CURRENT: Final = "Mend it with `marquee releases promote VERSION`."


class Counts(BaseModel):
    """How many users, movies and ratings a release holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    users: int = Field(ge=0)
    """Rows of `users.parquet`."""
    movies: int = Field(ge=0)
    """Rows of `movies.parquet`."""
    ratings: int = Field(ge=0)
    """Rows of `history.parquet`."""


class ReleaseBlessing(BaseModel):
    """What a release's model was judged by."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    blessed: bool
    """Whether it was good enough."""
    reasons: tuple[str, ...]
    """What it fell short of; or what it was judged by."""
    forced: bool
    """Whether a person had it released all the same."""


class Manifest(BaseModel):
    """What a release says of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    format: Literal[1]
    """The layout of the folder."""
    version: str = Field(pattern=rf"^{_VERSION.pattern}$")
    """When it was written and the first eight digits of `content_digest`."""
    created_at: str
    """When it was written, ISO 8601, UTC."""
    dataset: str
    """The ratings it was trained on."""
    config: dict[str, Any]
    """The configuration it was trained with."""
    seed: int
    """The seed it was trained with."""
    git_commit: str | None
    """The commit of the code, if known."""
    run_fingerprint: str | None = None
    """What the run that made it followed from, code included; None if it was not noted."""
    libraries: dict[str, str]
    """Versions of the libraries that trained it."""
    data: dict[str, Any]
    """Fingerprints of the data it was trained on."""
    counts: Counts
    """How many users, movies and ratings it holds."""
    dimension: int = Field(ge=1)
    """Length of every vector."""
    metrics: dict[str, Any]
    """How good it is: `protocol`, `retrieval`, `baselines` and more."""
    blessing: ReleaseBlessing | None = None
    """What the model was judged by; None if it was not noted."""
    mlflow_run_id: str | None = None
    """MLflow's id of the training; None if it was not tracked or not noted."""
    content_digest: str = Field(pattern="^[0-9a-f]{64}$")
    """sha256 over the files' hashes and everything in the manifest but version and time."""
    files: dict[str, str]
    """sha256 of every file but the manifest, by path relative to the release."""


@dataclass(frozen=True, slots=True)
class Movie:
    """A movie as a release knows it."""

    movie_id: int
    title: str
    genres: tuple[str, ...]
    release_year: int | None
    rating_count: int
    rating_mean: float | None


@dataclass(frozen=True, slots=True)
class History:
    """What one user has rated, oldest first; all three arrays have one entry a rating."""

    movie_ids: NDArray[np.int64]
    ratings: NDArray[np.float32]
    timestamps: NDArray[np.int64]


def write_release(releases: Path, parts: Mapping[str, Path], manifest: Mapping[str, Any]) -> str:
    """Write a new release and return its version; a reader sees a whole release or none.

    The same parts and the same manifest give the release that exists already, and nothing is written.

    Args:
        releases: the folder of all releases; made if it is not there.
        parts: every name of `PARTS`, and any more, with the file or folder to copy.
        manifest: the manifest's keys without `format`, `version`, `created_at`, `content_digest` and
            `files`, which are set here.

    Raises:
        ReleaseError: a part that is missing, empty or changes while it is copied, or a manifest that does
            not fit.
    """
    _check_parts(parts)
    given = _plain(manifest)
    releases.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(releases)
    files = _hash_parts(parts)
    digest = _content_digest(files, given)
    existing = _with_digest(releases, digest)
    if existing is not None:
        return existing

    moment = _next_moment(releases)
    version = f"{moment.strftime(_TIME)}-{digest[:8]}"
    whole = {
        **given,
        "format": FORMAT,
        "version": version,
        "created_at": _written(moment),
        "content_digest": digest,
        "files": files,
    }
    _read_manifest(whole, "the manifest given to write_release")

    staging = releases / f"{_STAGING}{secrets.token_hex(8)}"
    staging.mkdir()
    try:
        for name, source in parts.items():
            if source.is_dir():
                shutil.copytree(source, staging / name, copy_function=copy_sparse)
            else:
                copy_sparse(source, staging / name)
        if _hash_parts({name: staging / name for name in parts}) != files:
            raise ReleaseError(
                f"The parts of release {version} changed while they were copied into {releases}. "
                "Nothing was released: make sure that nothing writes to them, then write the release again."
            )
        (staging / _MANIFEST).write_text(json.dumps(whole, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        _sync_tree(staging)
        staging.rename(releases / version)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    _sync(releases)
    return version


def read_manifest(folder: Path) -> Manifest:
    """What a release says of itself, without a look at its other files.

    Raises:
        ReleaseError: there is no release, or its manifest is not whole.
    """
    return _read_manifest(_raw_manifest(folder), str(folder / _MANIFEST))


def verify_release(folder: Path) -> Manifest:
    """Read a release's manifest and check every file against it.

    Raises:
        ReleaseError: a file that is missing, altered or not in the manifest (each named, at most ten), or a
            manifest that is not whole.
    """
    path, raw = folder / _MANIFEST, _raw_manifest(folder)
    manifest = _read_manifest(raw, str(path))

    problems = list(_differences(folder, manifest.files))
    given = {key: value for key, value in raw.items() if key not in _SET_BY_WRITER}
    if not problems and _content_digest(manifest.files, given) != manifest.content_digest:
        problems.append(f"{path} was altered: its content digest does not fit what it says")
    if not problems and not _is_named_after_its_content(manifest):
        problems.append(f"{path} was altered: version and created_at do not fit the content")
    if problems:
        shown = problems[:_PROBLEMS_SHOWN]
        more = [f"and {len(problems) - len(shown)} more"] if len(problems) > len(shown) else []
        raise ReleaseError(
            f"Release {manifest.version} cannot be trusted: {'; '.join(shown + more)}. {_WRITE_AGAIN}"
        )
    return manifest


def list_releases(releases: Path) -> list[str]:
    """Versions of all releases, oldest first; empty where there is no such folder."""
    if not releases.is_dir():
        return []
    return sorted(
        entry.name for entry in releases.iterdir() if entry.is_dir() and _VERSION.fullmatch(entry.name)
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
    if not _VERSION.fullmatch(version):
        raise ReleaseError(f"{path} holds {version[:80]!r}, which is no release. {_MEND_CURRENT}")
    return version


def promote(releases: Path, version: str) -> None:
    """Make a release the live one, after checking that it is whole.

    Raises:
        ReleaseError: no such release, or one that is incomplete or altered; the live release stays.
    """
    if not _VERSION.fullmatch(version):
        raise ReleaseError(f"{version!r} is no release version. There are: {_names(releases)}.")
    if not (releases / version).is_dir():
        raise ReleaseError(f"There is no release {version} in {releases}. There are: {_names(releases)}.")
    verify_release(releases / version)
    staging = releases / f".{_CURRENT}-{secrets.token_hex(8)}"
    try:
        staging.write_text(version + "\n", encoding="utf-8")
        _sync(staging)
        staging.replace(releases / _CURRENT)
    except BaseException:
        staging.unlink(missing_ok=True)
        raise
    _sync(releases)


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


class Release:
    """A verified release in memory: read-only, shared by every request.

    Attributes:
        folder: where it was loaded from.
        manifest: what it says of itself.
        movie_ids: int64 [movies], ascending.
        movie_vectors: float32 [movies, dimension].
        titles: one a movie, as in the source.
        movie_rating_counts: int64 [movies].
        user_ids: int64 [users], ascending.
        user_vectors: float32 [users, dimension].
        user_rating_counts: int64 [users].
        history_user_ids: int64 [raters], ascending: everybody who rated, also those without a vector.
        history_offsets: int64 [raters + 1]; the ratings of `history_user_ids[i]` are those from `offsets[i]`
            to before `offsets[i + 1]`.
        history_movie_ids: int32 or int64 [ratings], like the next two in as few bytes as hold every value.
        history_ratings: float16 or float32 [ratings].
        history_timestamps: int32 or int64 [ratings].
        highest_rating: the highest rating of all users, 0 where there is none.
        popular_positions: int64 [movies], rows of `movie_ids`, most rated first, lower id first among equals.
        popular_movie_ids: int64 [movies], in the same order.
    """

    def __init__(self, folder: Path, manifest: Manifest, movies: pa.Table, users: pa.Table):
        self.folder = folder
        self.manifest = manifest

        self.movie_ids: NDArray[np.int64] = _numbers(movies, Columns.MOVIE_ID)
        self.movie_vectors = _vectors(movies, manifest.dimension, folder / "movies.parquet")
        self.movie_rating_counts: NDArray[np.int64] = _numbers(movies, "rating_count")
        self.user_ids: NDArray[np.int64] = _numbers(users, Columns.USER_ID)
        self.user_vectors = _vectors(users, manifest.dimension, folder / "users.parquet")
        self.user_rating_counts: NDArray[np.int64] = _numbers(users, "rating_count")
        _check_ascending(self.movie_ids, folder / "movies.parquet")
        _check_ascending(self.user_ids, folder / "users.parquet")

        self.titles: list[str] = movies[Columns.TITLE].to_pylist()
        # Many movies share a list of genres.
        distinct: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._genres = [
            distinct.setdefault(genres, genres)
            for genres in map(tuple, pc.fill_null(movies[Columns.GENRES], []).to_pylist())
        ]
        self._years: list[int | None] = movies[Columns.RELEASE_YEAR].to_pylist()
        self._means: list[float | None] = movies["rating_mean"].to_pylist()

        raters: NDArray[np.integer] = self._of_history(Columns.USER_ID)
        if np.any(np.diff(raters) < 0):
            raise ReleaseError(
                f"{folder / 'history.parquet'} is not sorted by user_id. Write the release again."
            )
        starts = np.flatnonzero(np.diff(raters, prepend=-1))
        self.history_user_ids = raters[starts].astype(np.int64)
        self.history_offsets: NDArray[np.int64] = np.append(starts, len(raters))
        self.history_movie_ids: NDArray[np.integer] = self._of_history(Columns.MOVIE_ID)
        self.history_ratings: NDArray[np.floating] = self._of_history(Columns.RATING)
        self.history_timestamps: NDArray[np.integer] = self._of_history(Columns.TIMESTAMP)
        self.highest_rating = float(self.history_ratings.max(initial=0.0))
        self.popular_positions: NDArray[np.int64] = np.lexsort((self.movie_ids, -self.movie_rating_counts))
        self.popular_movie_ids: NDArray[np.int64] = self.movie_ids[self.popular_positions]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Verify a release, then read its tables into memory.

        Raises:
            ReleaseError: a file that is missing, altered or does not agree with the manifest.
        """
        manifest = verify_release(folder)
        counts = manifest.counts
        release = cls(
            folder,
            manifest,
            movies=_table(folder / "movies.parquet", MOVIES_SCHEMA, counts.movies),
            users=_table(folder / "users.parquet", USERS_SCHEMA, counts.users),
        )
        pa.default_memory_pool().release_unused()
        return release

    def _of_history(self, column: str) -> NDArray[Any]:
        """A column of `history.parquet` in as few bytes as hold every value."""
        schema = pa.schema([HISTORY_SCHEMA.field(column)])
        file = self.folder / "history.parquet"
        numbers = _in_few_bytes(_numbers(_table(file, schema, self.manifest.counts.ratings), column))
        # One column at a time, and nothing left of it: reading takes several times what is kept.
        pa.default_memory_pool().release_unused()
        return numbers

    @classmethod
    def open_live(cls, releases: Path) -> Self:
        """Load the release that is live.

        Raises:
            ReleaseError: nothing is live, or the live release is not whole.
        """
        version = live_version(releases)
        if version is None:
            there = list_releases(releases)
            choice = f", or promote one of: {', '.join(there)}" if there else ""
            raise ReleaseError(
                f"No release in {releases.absolute()} is live. Make one with `marquee run`{choice}."
            )
        release = cls.load(releases / version)
        if release.version != version:
            raise ReleaseError(f"{releases / version} holds another release, {release.version}. Rename it.")
        return release

    @property
    def version(self) -> str:
        """The release's name."""
        return self.manifest.version

    @property
    def index_folder(self) -> Path:
        """Where the vector index lies."""
        return self.folder / "index"

    @cached_property
    def rating_scale(self) -> RatingScale:
        """The values that a rating can take: what the source says, or what the ratings show."""
        source = self.manifest.data.get("source")
        declared = source.get("rating_scale") if isinstance(source, dict) else None
        if declared is not None:
            return RatingScale.from_mapping(declared)
        ratings = self.history_ratings
        found = RatingScale(min=float(ratings.min(initial=HALF_STARS.max)), max=self.highest_rating)
        in_half_stars = 2 * ratings
        fits = HALF_STARS.min <= found.min and found.max <= HALF_STARS.max
        return HALF_STARS if fits and np.array_equal(in_half_stars, np.rint(in_half_stars)) else found

    @property
    def online_folder(self) -> Path | None:
        """Where the models lie that answer for any history; None where the release has none."""
        return self._optional("online")

    @property
    def re_ranker_folder(self) -> Path | None:
        """Where the re-ranker lies; None where the release has none."""
        return self._optional("re_ranker")

    def _optional(self, part: str) -> Path | None:
        # By the manifest, which says what was verified.
        there = any(PurePosixPath(path).parts[0] == part for path in self.manifest.files)
        return self.folder / part if there else None

    def user_position(self, user_id: int) -> int | None:
        """The row of a user in `user_ids` and `user_vectors`, or None for an unknown one."""
        return _position(self.user_ids, user_id)

    def movie_position(self, movie_id: int) -> int | None:
        """The row of a movie in `movie_ids` and `movie_vectors`, or None for an unknown one."""
        return _position(self.movie_ids, movie_id)

    def movie_positions(self, movie_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of many movies, -1 for each that the release does not know; shapes alike."""
        return positions_of(movie_ids, self.movie_ids)

    def movie(self, movie_id: int) -> Movie:
        """What the release knows of a movie.

        Raises:
            KeyError: a movie that the release does not know.
        """
        position = self.movie_position(movie_id)
        if position is None:
            raise KeyError(movie_id)
        return Movie(
            movie_id=movie_id,
            title=self.titles[position],
            genres=self._genres[position],
            release_year=self._years[position],
            rating_count=int(self.movie_rating_counts[position]),
            rating_mean=self._means[position],
        )

    def history_of(self, user_id: int) -> History:
        """What a user has rated, oldest first; empty for who rated nothing."""
        position = _position(self.history_user_ids, user_id)
        if position is None:
            rows = slice(0, 0)
        else:
            rows = slice(int(self.history_offsets[position]), int(self.history_offsets[position + 1]))
        return History(
            self.history_movie_ids[rows].astype(np.int64),
            self.history_ratings[rows].astype(np.float32),
            self.history_timestamps[rows].astype(np.int64),
        )


def positions_of(wanted: NDArray[np.int64], ascending: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each wanted number stands in an ascending array, -1 where it does not.

    Args:
        wanted: int64 [n].
        ascending: int64 [m], no number twice.

    Returns:
        int64 [n].
    """
    found = np.searchsorted(ascending, wanted)
    if len(ascending) == 0:
        return np.full(len(wanted), -1, dtype=np.int64)
    matches = ascending[np.minimum(found, len(ascending) - 1)] == wanted
    return np.where(matches, found, -1)


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
        if PurePosixPath(name).name != name or name.startswith(".") or name == _MANIFEST
    ]
    if odd:
        raise ReleaseError(f"Parts cannot be called {odd}: give plain names such as {PARTS[0]!r}.")


def _plain(manifest: Mapping[str, Any]) -> dict[str, Any]:
    taken = sorted(_SET_BY_WRITER & manifest.keys())
    if taken:
        raise ReleaseError(f"write_release sets {taken} itself: leave them out of the manifest.")
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(manifest), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ReleaseError(f"The manifest cannot be written as JSON: {error}.") from error
    return plain


def _raw_manifest(folder: Path) -> Any:
    path = folder / _MANIFEST
    if not folder.is_dir():
        raise ReleaseError(f"There is no release at {folder}. Run the pipeline, or name another release.")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ReleaseError(f"{path} is missing, so {folder} is no release. {_WRITE_AGAIN}") from None
    except OSError as error:
        raise ReleaseError(f"{path} cannot be read: {error}. {_WRITE_AGAIN}") from error
    except ValueError as error:
        raise ReleaseError(f"{path} is not whole JSON ({error}). {_WRITE_AGAIN}") from error


def _read_manifest(raw: Any, where: str) -> Manifest:
    try:
        manifest = Manifest.model_validate(raw)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'the manifest'}: {problem['msg']}"
            for problem in error.errors()[:_PROBLEMS_SHOWN]
        )
        raise ReleaseError(
            f"{where} does not fit format {FORMAT}: {problems}. Write the release again with the pipeline."
        ) from error
    escapes = [path for path in manifest.files if not _stays_inside(path)]
    if escapes:
        raise ReleaseError(
            f"{where} lists {escapes[:_PROBLEMS_SHOWN]}, which lie outside the release. "
            "It was not written by Marquee: do not use it."
        )
    absent = [
        part for part in PARTS if not any(PurePosixPath(path).parts[0] == part for path in manifest.files)
    ]
    if absent:
        raise ReleaseError(
            f"{where} lists no {', '.join(absent)}. Write the release again with the pipeline."
        )
    return manifest


def _stays_inside(path: str) -> bool:
    pure = PurePosixPath(path)
    return (
        path not in ("", ".", _MANIFEST)
        and not pure.is_absolute()
        and ".." not in pure.parts
        and "\\" not in path
        and "\0" not in path
        and str(pure) == path
    )


def _differences(folder: Path, files: Mapping[str, str]) -> Iterator[str]:
    present = {entry.relative_to(folder).as_posix(): entry for entry in _entries(folder)}
    present.pop(_MANIFEST, None)
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


def _hash_parts(parts: Mapping[str, Path]) -> dict[str, str]:
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
        moment = datetime.strptime(time, _TIME).replace(tzinfo=UTC)
    except ValueError:
        return False
    return manifest.content_digest.startswith(digest) and manifest.created_at == _written(moment)


def _written(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _content_digest(files: Mapping[str, str], given: Mapping[str, Any]) -> str:
    # These say which run and code it was, not what is in the release: another one makes no other release.
    manifest = {key: value for key, value in given.items() if key not in _OF_THE_RUN}
    canonical = json.dumps(
        {"files": sorted(files.items()), "manifest": manifest}, sort_keys=True, separators=(",", ":")
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


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
    newest = datetime.strptime(versions[-1].split("-")[0], _TIME).replace(tzinfo=UTC)
    return max(now, newest + timedelta(seconds=1))


def _remove_leftovers(releases: Path) -> None:
    for entry in releases.glob(f"{_STAGING}*"):
        try:
            age = time.time() - entry.stat().st_mtime
        except FileNotFoundError:
            continue
        if age > _STAGING_LIFETIME_S:
            shutil.rmtree(entry, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_tree(folder: Path) -> None:
    for root, _, names in os.walk(folder, topdown=False):
        for name in names:
            _sync(Path(root, name))
        _sync(Path(root))


def _names(releases: Path) -> str:
    return ", ".join(list_releases(releases)) or "none"


def _table(path: Path, schema: pa.Schema, rows: int) -> pa.Table:
    remedy = "Write the release again with the pipeline."
    try:
        table = pq.read_table(path, columns=schema.names).select(schema.names).cast(schema)
    except (pa.ArrowException, KeyError, OSError, ValueError) as error:
        raise ReleaseError(
            f"{path} cannot be read as {', '.join(schema.names)}: {error}. {remedy}"
        ) from error
    if table.num_rows != rows:
        raise ReleaseError(f"{path} has {table.num_rows} rows where the manifest says {rows}. {remedy}")
    return table


def _numbers(table: pa.Table, column: str) -> NDArray[Any]:
    values = table[column]
    if values.null_count:
        raise ReleaseError(
            f"Column {column} of the release lacks {values.null_count} values. Write the release again."
        )
    numbers: NDArray[Any] = values.to_numpy()
    return numbers


def _in_few_bytes(values: NDArray[Any]) -> NDArray[Any]:
    """The same numbers in half the memory, where that holds every one of them."""
    narrow = {np.dtype(np.int64): np.int32, np.dtype(np.float32): np.float16}[values.dtype]
    with np.errstate(over="ignore"):
        half = values.astype(narrow)
    return half if np.array_equal(half, values) else values


def _vectors(table: pa.Table, dimension: int, path: Path) -> NDArray[np.float32]:
    column = table[Columns.EMBEDDING]
    lengths = pc.fill_null(column.combine_chunks().value_lengths(), 0).to_numpy(zero_copy_only=False)
    if not np.all(lengths == dimension):
        found = sorted(set(lengths.tolist()) - {dimension})[:_PROBLEMS_SHOWN]
        raise ReleaseError(
            f"{path} has vectors of length {found} where the manifest says {dimension}. "
            "Write the release again with the pipeline."
        )
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    vectors: NDArray[np.float32] = np.ascontiguousarray(flat, dtype=np.float32).reshape(-1, dimension)
    odd = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(odd):
        raise ReleaseError(
            f"{path} has {len(odd)} vectors that are not finite, the first in row {odd[0]}. Train again."
        )
    return vectors


def _check_ascending(ids: NDArray[np.int64], path: Path) -> None:
    if np.any(np.diff(ids) <= 0):
        row = int(np.flatnonzero(np.diff(ids) <= 0)[0]) + 1
        raise ReleaseError(
            f"{path} is not sorted by id, or names {ids[row]} twice (row {row}). "
            "Write the release again with the pipeline."
        )


def _position(ids: NDArray[np.int64], wanted: int) -> int | None:
    position = int(np.searchsorted(ids, wanted))
    return position if position < len(ids) and int(ids[position]) == wanted else None
