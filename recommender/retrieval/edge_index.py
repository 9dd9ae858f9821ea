"""Movies in Qdrant Edge: Qdrant's own engine, inside this process, on files in a folder."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import qdrant_edge
from numpy.typing import NDArray
from pydantic import Field

from recommender.configuration import Configuration
from recommender.errors import IndexUnavailableError
from recommender.retrieval.movie_index import ScoredMovie
from recommender.sparse_copy import copy_sparse

_CONFIG = "edge_config.json"
_SEARCH = "search.json"
_SEGMENT = "00000000-0000-4000-8000-000000000000"


class HnswConfig(Configuration):
    """An approximate index over the vectors, for catalogues too large to search exactly."""

    links: int = Field(default=16, ge=2)
    """Edges of each movie in the graph (`m`): more find better and take more room."""
    build_candidates: int = Field(default=128, ge=4)
    """Candidates looked at for each movie while building (`ef_construct`)."""
    search_candidates: int = Field(default=128, ge=1)
    """Candidates looked at in each search (`ef`)."""


class _Search(Configuration):
    """How an index is searched, kept beside it."""

    candidates: int | None
    """`HnswConfig.search_candidates`; None searches exactly."""


class EdgeMovieIndex:
    """A `MovieIndex` on a Qdrant Edge shard.

    The engine rewrites its configuration whenever it opens a shard, and locks no other process out. So `open`
    works on a copy of its own: the folder stays as it was built, its checksums hold, it may be read-only, and
    any number of services may read it.
    """

    def __init__(
        self, shard: Any, copy: "tempfile.TemporaryDirectory[str]", search_candidates: int | None
    ) -> None:
        """Made by `open`."""
        self._shard = shard
        self._copy = copy
        self._parameters = (
            qdrant_edge.SearchParams(exact=True)
            if search_candidates is None
            else qdrant_edge.SearchParams(hnsw_ef=search_candidates)
        )

    @staticmethod
    def build(
        folder: Path,
        movie_ids: NDArray[np.int64],
        vectors: NDArray[np.float32],
        payloads: Sequence[Mapping[str, Any]] | None = None,
        *,
        hnsw: HnswConfig | None = None,
    ) -> None:
        """Write an index of movies to a folder that is not there yet, or is empty.

        Without `hnsw` the same movies give the same bytes.

        Args:
            folder: where to write.
            movie_ids: int64 [movies], 0 or more, no id twice.
            vectors: float32 [movies, dimension].
            payloads: what to keep beside each vector, such as `genres`, `release_year` and `rating_count`:
                plain values that JSON has.
            hnsw: build an approximate index as well; search exactly if None.

        Raises:
            ValueError: arrays that do not go together, or ids that the engine cannot hold.
            IndexUnavailableError: the engine could not write the folder.
        """
        if vectors.ndim != 2 or len(vectors) != len(movie_ids):
            raise ValueError(f"{len(movie_ids)} movies do not go with vectors of shape {vectors.shape}.")
        if payloads is not None and len(payloads) != len(movie_ids):
            raise ValueError(f"{len(movie_ids)} movies do not go with {len(payloads)} payloads.")
        if len(movie_ids) and (int(movie_ids.min()) < 0 or len(np.unique(movie_ids)) != len(movie_ids)):
            raise ValueError("Movie ids of an index are 0 or more, each once: this one has others.")

        folder.mkdir(parents=True, exist_ok=True)
        # The log of writes would be 64 MB for every index, and an index is written once and then only read.
        config = qdrant_edge.EdgeConfig(
            vectors=qdrant_edge.EdgeVectorParams(size=vectors.shape[1], distance=qdrant_edge.Distance.Dot),
            hnsw_config=_engine_config(hnsw),
            optimizers=qdrant_edge.EdgeOptimizersConfig(indexing_threshold=1) if hnsw else None,
            wal_enabled=False,
        )
        # Exception, here and below, because the engine raises nothing narrower.
        try:
            shard = qdrant_edge.EdgeShard.create(str(folder), config)
            # One at a time, because the engine shuffles the points of a batch; a batch gains little.
            for row, movie_id in enumerate(movie_ids.tolist()):
                payload = dict(payloads[row]) if payloads is not None else None
                point = qdrant_edge.Point(movie_id, vectors[row].tolist(), payload)
                shard.update(qdrant_edge.UpdateOperation.upsert_points([point]))
            if hnsw is not None:
                shard.optimize()
            shard.flush()
            shard.close()
            # Opened once more, because the engine folds the journal of a small index in when it opens it.
            shard = qdrant_edge.EdgeShard.load(str(folder))
            shard.flush()
            shard.close()
        except Exception as error:
            raise IndexUnavailableError(f"The index in {folder} could not be written: {error}.") from error
        if hnsw is None:
            _name_segment(folder)
        search = _Search(candidates=hnsw.search_candidates if hnsw else None)
        (folder / _SEARCH).write_text(search.model_dump_json() + "\n", encoding="utf-8")

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open an index that `build` wrote, without changing it.

        It is searched as it was built: exactly, or approximately.

        Raises:
            IndexUnavailableError: no index there, or one that cannot be read.
        """
        if not (folder / _CONFIG).is_file():
            raise IndexUnavailableError(f"There is no index in {folder}. Run the pipeline to build it.")
        copy = tempfile.TemporaryDirectory(prefix="marquee-index-", ignore_cleanup_errors=True)
        try:
            private = Path(copy.name) / "index"
            shutil.copytree(folder, private, copy_function=copy_sparse)
            # Folders keep their modes when copied, and a release may be read-only.
            for directory in (private, *filter(Path.is_dir, private.rglob("*"))):
                directory.chmod(0o700)
            search = _Search.model_validate_json((private / _SEARCH).read_bytes())
            shard = qdrant_edge.EdgeShard.load(str(private))
        except Exception as error:
            copy.cleanup()
            raise IndexUnavailableError(
                f"The index in {folder} cannot be opened: {error}. Run the pipeline to build it again."
            ) from error
        return cls(shard, copy, search.candidates)

    def search(
        self, vector: NDArray[np.float32], limit: int, *, exclude: Sequence[int] = ()
    ) -> list[ScoredMovie]:
        """The best movies, best first, lower id first among equals."""
        seen: set[Any] = {int(movie_id) for movie_id in exclude}
        request = qdrant_edge.QueryRequest(
            limit=limit,
            query=qdrant_edge.Query.Nearest(vector.tolist()),
            filter=qdrant_edge.Filter(must_not=[qdrant_edge.HasIdCondition(seen)]) if seen else None,
            params=self._parameters,
        )
        try:
            points = self._shard.query(request)
        except Exception as error:
            raise IndexUnavailableError(f"The index did not answer: {error}.") from error
        found = [ScoredMovie(point.id, point.score) for point in points]
        return sorted(found, key=lambda movie: (-movie.score, movie.movie_id))

    def count(self) -> int:
        """How many movies the index holds."""
        try:
            return int(self._shard.count(qdrant_edge.CountRequest()))
        except Exception as error:
            raise IndexUnavailableError(f"The index did not answer: {error}.") from error

    def close(self) -> None:
        """Close the shard and remove the copy it worked on."""
        self._shard.close()
        self._copy.cleanup()


def _engine_config(hnsw: HnswConfig | None) -> Any:
    if hnsw is None:
        return None
    return qdrant_edge.HnswIndexConfig(
        m=hnsw.links, ef_construct=hnsw.build_candidates, full_scan_threshold=10
    )


def _name_segment(folder: Path) -> None:
    """Give the only segment a fixed name, so that the same movies give the same files."""
    segments = list((folder / "segments").iterdir())
    if len(segments) == 1:
        segments[0].rename(folder / "segments" / _SEGMENT)
