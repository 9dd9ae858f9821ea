"""Movies in Qdrant Edge: Qdrant's own engine, inside this process, on files in a folder."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import qdrant_edge
from numpy.typing import NDArray

from recommender.configuration import Configuration
from recommender.errors import IndexUnavailableError
from recommender.retrieval.configuration import HnswConfig
from recommender.retrieval.equal_lengths import of_equal_length, searched_for
from recommender.retrieval.movie_filter import GENRES, MOVIE_ID, RATING_COUNT, RELEASE_YEAR, MovieFilter
from recommender.retrieval.movie_index import (
    FoundMovies,
    best_in_order,
    best_of_each_in_order,
    candidates_looked_at,
    check_batch,
)
from recommender.scratch_folder import ScratchFolder
from recommender.sparse_copy import copy_sparse

_CONFIG = "edge_config.json"
_SEARCH = "search.json"
_SEGMENT = "00000000-0000-4000-8000-000000000000"
_FIELDS: Mapping[str, Any] = {
    MOVIE_ID: qdrant_edge.IntegerIndexParams(lookup=True, range=False),
    GENRES: qdrant_edge.PayloadSchemaType.Keyword,
    RELEASE_YEAR: qdrant_edge.PayloadSchemaType.Integer,
    RATING_COUNT: qdrant_edge.PayloadSchemaType.Integer,
}
"""Fields that the engine keeps an index of, so that a filter looks at no other movie."""


class _Search(Configuration):
    """How an index is searched, kept beside it."""

    format: Literal[3] = 3
    """Of the index: what its vectors are, and which fields there are to search by."""
    candidates: int | None
    """As `HnswConfig.search_candidates`; None searches exactly."""


class EdgeMovieIndex:
    """A `MovieIndex` on a Qdrant Edge shard.

    The engine rewrites its configuration whenever it opens a shard, and locks no other process out. So `open`
    works on a copy of its own: the folder stays as it was built, its checksums hold, it may be read-only, and
    any number of services may read it.
    """

    def __init__(self, shard: Any, copy: ScratchFolder, search_candidates: int | None) -> None:
        """Made by `open`."""
        self._shard = shard
        self._copy = copy
        self._search_candidates = search_candidates

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
            payloads: what to keep beside each vector and to filter by: `genres`, `release_year` and
                `rating_count`, as values that JSON has.
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

        kept = of_equal_length(vectors)
        folder.mkdir(parents=True, exist_ok=True)
        # The log of writes would be 64 MB for every index, and an index is written once and then only read.
        config = qdrant_edge.EdgeConfig(
            vectors=qdrant_edge.EdgeVectorParams(size=kept.shape[1], distance=qdrant_edge.Distance.Dot),
            hnsw_config=_engine_config(hnsw, kept.shape[1]),
            optimizers=qdrant_edge.EdgeOptimizersConfig(indexing_threshold=1, default_segment_number=1)
            if hnsw
            else None,
            wal_enabled=False,
        )
        # Exception, here and below, because the engine raises nothing narrower.
        try:
            shard = qdrant_edge.EdgeShard.create(str(folder), config)
            for field, kind in _FIELDS.items():
                shard.update(qdrant_edge.UpdateOperation.create_field_index(field, kind))
            # One at a time, because the engine shuffles the points of a batch; a batch gains little.
            for row, movie_id in enumerate(movie_ids.tolist()):
                payload = {**(payloads[row] if payloads is not None else {}), MOVIE_ID: movie_id}
                point = qdrant_edge.Point(movie_id, kept[row].tolist(), payload)
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
            _make_reproducible(folder)
        EdgeMovieIndex.set_search_candidates(folder, hnsw.search_candidates if hnsw else None)

    @staticmethod
    def set_search_candidates(folder: Path, candidates: int | None) -> None:
        """Say how an index is searched from its next opening on.

        Args:
            folder: an index that `build` wrote.
            candidates: as `HnswConfig.search_candidates`; None searches exactly.
        """
        search = _Search(candidates=candidates)
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
        try:
            copy = ScratchFolder("marquee-release-index-")
        except OSError as error:
            raise IndexUnavailableError(
                f"The index in {folder} cannot be opened: there is no place for a copy of it ({error})."
            ) from error
        try:
            private = copy.path / "index"
            shutil.copytree(folder, private, copy_function=copy_sparse)
            # Folders keep their modes when copied, and a release may be read-only.
            for directory in (private, *filter(Path.is_dir, private.rglob("*"))):
                directory.chmod(0o700)
            search = _Search.model_validate_json((private / _SEARCH).read_bytes())
            shard = qdrant_edge.EdgeShard.load(str(private))
        except Exception as error:
            copy.close()
            raise IndexUnavailableError(
                f"The index in {folder} cannot be opened: {error}. Run the pipeline to build it again."
            ) from error
        return cls(shard, copy, search.candidates)

    def search(
        self,
        vector: NDArray[np.float32],
        limit: int,
        *,
        exclude: Sequence[int] = (),
        filter: MovieFilter | None = None,
        exact: bool = False,
    ) -> FoundMovies:
        """The best movies, best first, lower id first among equals."""
        condition, params = _condition(filter, exclude), self._params(exact, len(exclude))

        def ask(asked: int) -> FoundMovies:
            with _answering():
                return _scored(self._shard.query(self._request(vector, asked, condition, params)))

        return best_in_order(ask(limit + 1), limit, ask)

    def search_batch(
        self,
        vectors: NDArray[np.float32],
        limit: int,
        *,
        excludes: Sequence[Sequence[int]] | None = None,
        filter: MovieFilter | None = None,
        exact: bool = False,
    ) -> list[FoundMovies]:
        """What `search` gives for each of many vectors, by one question to the engine."""
        check_batch(vectors, excludes)
        excluded = excludes or [()] * len(vectors)
        conditions = [_condition(filter, exclude) for exclude in excluded]
        params = [self._params(exact, len(exclude)) for exclude in excluded]

        def ask(asked: int, rows: Sequence[int]) -> list[FoundMovies]:
            requests = [self._request(vectors[row], asked, conditions[row], params[row]) for row in rows]
            with _answering():
                answers = self._shard.query_batch(qdrant_edge.QueryBatchRequest(requests))
            return [_scored(points) for points in answers]

        return best_of_each_in_order(ask, len(vectors), limit)

    def count(self) -> int:
        """How many movies the index holds."""
        with _answering():
            return int(self._shard.count(qdrant_edge.CountRequest()))

    def close(self) -> None:
        """Close the shard and remove the copy it worked on."""
        self._shard.close()
        self._copy.close()

    def _params(self, exact: bool, n_excluded: int) -> Any:
        if exact or self._search_candidates is None:
            return qdrant_edge.SearchParams(exact=True)
        return qdrant_edge.SearchParams(
            hnsw_ef=candidates_looked_at(self._search_candidates, n_excluded),
            # All links of a movie may lead to movies that do not pass: their links are followed, too.
            acorn=qdrant_edge.AcornSearchParams(enable=True, max_selectivity=1.0),
        )

    def _request(self, vector: NDArray[np.float32], asked: int, condition: Any, params: Any) -> Any:
        return qdrant_edge.QueryRequest(
            limit=asked,
            query=qdrant_edge.Query.Nearest(searched_for(vector)),
            filter=condition,
            params=params,
        )


@contextmanager
def _answering() -> Iterator[None]:
    """Turn whatever the engine raises into what the caller expects."""
    try:
        yield
    except Exception as error:
        raise IndexUnavailableError(f"The index did not answer: {error}.") from error


def _scored(points: Sequence[Any]) -> FoundMovies:
    return FoundMovies.of([point.id for point in points], [point.score for point in points])


def _condition(wanted: MovieFilter | None, exclude: Sequence[int]) -> Any:
    """A filter and the excluded movies as the engine wants them; None lets every movie pass."""
    edge = qdrant_edge
    wanted = wanted or MovieFilter()
    must: list[Any] = [
        edge.FieldCondition(GENRES, match=edge.MatchValue(genre)) for genre in wanted.genres_all
    ]
    if wanted.genres_any:
        must.append(edge.FieldCondition(GENRES, match=edge.MatchAny(list(wanted.genres_any))))
    if wanted.year_from is not None or wanted.year_to is not None:
        years = edge.RangeFloat(gte=wanted.year_from, lte=wanted.year_to)
        must.append(edge.FieldCondition(RELEASE_YEAR, range=years))
    if wanted.min_ratings > 0:
        must.append(edge.FieldCondition(RATING_COUNT, range=edge.RangeFloat(gte=wanted.min_ratings)))
    if len(exclude):
        # By a field, because excluding 1,000 points by their ids takes a search twice as long.
        must.append(edge.FieldCondition(MOVIE_ID, match=edge.MatchExcept(list(exclude))))
    must_not: list[Any] = []
    if wanted.genres_none:
        must_not.append(edge.FieldCondition(GENRES, match=edge.MatchAny(list(wanted.genres_none))))
    return edge.Filter(must=must, must_not=must_not) if must or must_not else None


def _engine_config(hnsw: HnswConfig | None, dimension: int) -> Any:
    if hnsw is None:
        return None
    return qdrant_edge.HnswIndexConfig(
        m=hnsw.links,
        ef_construct=hnsw.build_candidates,
        full_scan_threshold=hnsw.full_scan_kilobytes(dimension),
        # Links between the movies of each genre and year would take four times as long to build, and serve
        # filters that leave few movies, which are searched exactly.
        payload_m=0,
    )


def _make_reproducible(folder: Path) -> None:
    """Name the only segment and order its fields, so that the same movies give the same files."""
    segments = list((folder / "segments").iterdir())
    if len(segments) == 1:
        segment = segments[0].rename(folder / "segments" / _SEGMENT)
        fields = segment / "payload_index" / "config.json"
        fields.write_text(json.dumps(json.loads(fields.read_bytes()), sort_keys=True), encoding="utf-8")
