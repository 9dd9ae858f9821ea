"""What a release says of itself."""

import json
import re
from pathlib import Path, PurePosixPath
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recommender.errors import ReleaseError

FORMAT: Final = 2
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
ARRAYS: Final = "arrays"
"""What `write_release` makes of the tables: see `arrays`."""
MANIFEST: Final = "manifest.json"
VERSION: Final = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
PROBLEMS_SHOWN: Final = 10
WRITE_AGAIN: Final = "Write the release again with the pipeline, or serve another one."


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

    format: Literal[2]
    """The layout of the folder."""
    version: str = Field(pattern=rf"^{VERSION.pattern}$")
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


def read_manifest(folder: Path) -> Manifest:
    """What a release says of itself, without a look at its other files.

    Raises:
        ReleaseError: there is no release, or its manifest is not whole.
    """
    return manifest_of(raw_manifest(folder), str(folder / MANIFEST))


def raw_manifest(folder: Path) -> Any:
    """What the manifest of a release holds, whatever that is.

    Raises:
        ReleaseError: there is no release, or its manifest is not JSON.
    """
    path = folder / MANIFEST
    if not folder.is_dir():
        raise ReleaseError(f"There is no release at {folder}. Run the pipeline, or name another release.")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ReleaseError(f"{path} is missing, so {folder} is no release. {WRITE_AGAIN}") from None
    except OSError as error:
        raise ReleaseError(f"{path} cannot be read: {error}. {WRITE_AGAIN}") from error
    except ValueError as error:
        raise ReleaseError(f"{path} is not whole JSON ({error}). {WRITE_AGAIN}") from error


def manifest_of(raw: Any, where: str) -> Manifest:
    """A manifest from what a file holds.

    Raises:
        ReleaseError: it does not fit, lists files outside the release, or lacks a part.
    """
    try:
        manifest = Manifest.model_validate(raw)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'the manifest'}: {problem['msg']}"
            for problem in error.errors()[:PROBLEMS_SHOWN]
        )
        raise ReleaseError(
            f"{where} does not fit format {FORMAT}: {problems}. Write the release again with the pipeline."
        ) from error
    escapes = [path for path in manifest.files if not _stays_inside(path)]
    if escapes:
        raise ReleaseError(
            f"{where} lists {escapes[:PROBLEMS_SHOWN]}, which lie outside the release. "
            "It was not written by Marquee: do not use it."
        )
    there = {PurePosixPath(path).parts[0] for path in manifest.files}
    absent = [part for part in (*PARTS, ARRAYS) if part not in there]
    if absent:
        raise ReleaseError(
            f"{where} lists no {', '.join(absent)}. Write the release again with the pipeline."
        )
    return manifest


def _stays_inside(path: str) -> bool:
    pure = PurePosixPath(path)
    return (
        path not in ("", ".", MANIFEST)
        and not pure.is_absolute()
        and ".." not in pure.parts
        and "\\" not in path
        and "\0" not in path
        and str(pure) == path
    )
