"""A second release beside the live one, that no answer of the first could come from."""

import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recommender.data.vector_column import to_column
from recommender.release import OPTIONAL_PARTS, PARTS, live_version, promote, read_manifest, write_release
from recommender.retrieval.build_index import build_index
from recommender.retrieval.configuration import IndexerConfig

MARK: Final = " of the second release"
"""Ends every title of the second release."""
_SET_BY_WRITER: Final = {"format", "version", "created_at", "content_digest", "files"}


def two_releases(live: Path, folder: Path) -> tuple[str, str]:
    """Write a live release to a new folder of releases, and another beside it.

    The second one has the same movies under other titles, and its vectors point elsewhere, so that its index
    finds other movies; its models are the same.

    Args:
        live: folder of releases with a live one.
        folder: of the new releases.

    Returns:
        Versions of the first, which is live, and of the second.
    """
    version = live_version(live)
    assert version is not None, "a release is live"
    first = live / version
    manifest = manifest_of(first)
    with tempfile.TemporaryDirectory() as changed:
        parts = parts_of(first)
        second = Path(changed)
        shutil.copy(first / "users.parquet", second)
        movies = pq.read_table(first / "movies.parquet")
        vectors = np.stack(movies["embedding"].to_numpy())
        turned = np.roll(vectors, 1, axis=0)  # each movie has the vector of the one before
        movies = movies.set_column(
            movies.schema.get_field_index("title"),
            "title",
            pc.binary_join_element_wise(movies["title"], pa.scalar(MARK), ""),
        ).set_column(movies.schema.get_field_index("embedding"), "embedding", to_column(turned))
        pq.write_table(movies, second / "movies.parquet")
        build_index(second, IndexerConfig(recall_users=4), second / "index")
        versions = (
            write_release(folder, parts, manifest),
            write_release(
                folder, parts | {name: second / name for name in ("movies.parquet", "index")}, manifest
            ),
        )
    promote(folder, versions[0])
    return versions


def parts_of(release: Path) -> dict[str, Path]:
    """The parts of a release, as `write_release` takes them."""
    return {name: release / name for name in (*PARTS, *OPTIONAL_PARTS) if (release / name).exists()}


def manifest_of(release: Path) -> dict[str, Any]:
    """The manifest of a release, as `write_release` takes it."""
    return read_manifest(release).model_dump(exclude=_SET_BY_WRITER)
