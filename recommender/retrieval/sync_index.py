"""Bringing a Qdrant server to a release."""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from qdrant_client import QdrantClient, models

from recommender.errors import ConfigurationError, IndexQualityError, IndexUnavailableError
from recommender.release import Release
from recommender.retrieval.configuration import HnswConfig, IndexerConfig
from recommender.retrieval.equal_lengths import of_equal_length
from recommender.retrieval.index_recall import enough_candidates, index_recall, spread_over
from recommender.retrieval.movie_filter import GENRES, MOVIE_ID, RATING_COUNT, RELEASE_YEAR, payloads_of
from recommender.retrieval.qdrant_index import (
    ALIAS,
    CollectionState,
    QdrantMovieIndex,
    answering,
    collection_of,
    collection_state,
)

logger = logging.getLogger(__name__)

_BATCH: Final = 1000
"""Movies of an upload, some megabytes."""
_SHOWN_EVERY: Final = 10
"""Uploads between two messages."""
_POLL_S: Final = 0.5
_FIELDS: Final[Mapping[str, Any]] = {
    MOVIE_ID: models.IntegerIndexParams(type=models.IntegerIndexType.INTEGER, lookup=True, range=False),
    GENRES: models.PayloadSchemaType.KEYWORD,
    RELEASE_YEAR: models.PayloadSchemaType.INTEGER,
    RATING_COUNT: models.PayloadSchemaType.INTEGER,
}


def sync_release(
    client: QdrantClient, release: Release, *, alias: str = ALIAS, shards: int = 1, replicas: int = 1
) -> float:
    """Bring a server to a release, as the release's configuration says an index is built.

    Args:
        client: as for `sync_index`, and so are the others.
        release: whose movies the server gets.
        alias: what readers other than Marquee search.
        shards: parts of a collection.
        replicas: copies of each part.

    Returns:
        Recall@100.

    Raises:
        ConfigurationError: a release made with a configuration that is not known any more.
        IndexUnavailableError: as `sync_index`.
        IndexQualityError: as `sync_index`.
    """
    try:
        config = IndexerConfig.from_mapping(release.manifest.config.get("indexer", {}))
    except ValidationError as error:
        raise ConfigurationError(
            f"indexer in the manifest of release {release.version} cannot be used: {error}. "
            "Make the release again with the pipeline."
        ) from error
    return sync_index(
        client,
        release.version,
        release.movie_ids,
        release.movie_vectors,
        payloads_of(release),
        spread_over(release.user_vectors, config.recall_users),
        config,
        alias=alias,
        shards=shards,
        replicas=replicas,
    )


def sync_index(
    client: QdrantClient,
    version: str,
    movie_ids: NDArray[np.int64],
    vectors: NDArray[np.float32],
    payloads: Sequence[Mapping[str, Any]],
    queries: NDArray[np.float32],
    config: IndexerConfig,
    *,
    alias: str = ALIAS,
    wait_s: float = 1800.0,
    shards: int = 1,
    replicas: int = 1,
) -> float:
    """Build a release's collection unless it is there, check it, and point the alias to it.

    A reader sees a whole index or none: the alias is switched at once, when every movie is there and recall
    is what it must be. The collection that the alias pointed to before stays for services that still read
    it; older ones, and what interrupted builds left, are deleted. One sync at a time.

    Args:
        client: with a time-out that leaves room for an upload.
        version: of the release.
        movie_ids: int64 [movies], ascending.
        vectors: float32 [movies, dimension].
        payloads: `genres`, `release_year` and `rating_count` of each movie.
        queries: float32 [queries, dimension], users' vectors to measure recall with.
        config: how the index is built, and what recall must reach.
        alias: what readers other than Marquee search, and what the names of collections begin with.
        wait_s: how long the server may take to build the graph, in seconds.
        shards: parts that the collection is divided into; a cluster searches them side by side.
        replicas: copies of each part, on as many nodes of a cluster. Neither changes a collection that is
            already there.

    Returns:
        Recall@100.

    Raises:
        IndexUnavailableError: the server did not answer, lost movies or was not ready in time; the alias
            points to where it did.
        IndexQualityError: the index finds too little; the same.
    """
    collection = collection_of(version, alias)
    state = collection_state(client, collection)
    if state is None or not state.whole or state.release != version:
        hnsw = config.hnsw_for(len(movie_ids))
        state = CollectionState(release=version, search_candidates=hnsw.search_candidates if hnsw else None)
        kept = of_equal_length(vectors)
        _create(client, collection, kept.shape[1], hnsw, state, shards, replicas)
        _upload(client, collection, movie_ids, kept, payloads)
        _wait_until_green(client, collection, wait_s)
    there = QdrantMovieIndex(client, collection, None).count()
    if there != len(movie_ids):
        raise IndexUnavailableError(
            f"The Qdrant server holds {there:,} of the {len(movie_ids):,} movies of release {version} in "
            f"{collection}. Delete that collection, then sync again."
        )
    candidates, recall = enough_candidates(
        lambda tried: index_recall(QdrantMovieIndex(client, collection, tried), movie_ids, vectors, queries),
        state.search_candidates,
        config.minimum_recall,
    )
    if recall < config.minimum_recall:
        raise IndexQualityError(
            f"recall@100 of {collection} is {recall:.4f} with the vectors of {len(queries)} users, but "
            f"indexer.minimum_recall is {config.minimum_recall}: raise indexer.hnsw.links or "
            "indexer.hnsw.build_candidates, or set indexer.hnsw=null, and make a release with it."
        )
    state = CollectionState(release=version, search_candidates=candidates, whole=True)
    with answering():
        client.update_collection(collection, metadata=state.model_dump())
    _switch(client, alias, collection)
    return recall


def _create(
    client: QdrantClient,
    collection: str,
    dimension: int,
    hnsw: HnswConfig | None,
    state: CollectionState,
    shards: int,
    replicas: int,
) -> None:
    with answering():
        # What an interrupted build has left.
        client.delete_collection(collection)
        client.create_collection(
            collection,
            vectors_config=models.VectorParams(size=dimension, distance=models.Distance.DOT),
            # No links at all where every movie is compared; none for fields, as in the index of a release.
            hnsw_config=models.HnswConfigDiff(
                m=hnsw.links,
                ef_construct=hnsw.build_candidates,
                full_scan_threshold=hnsw.full_scan_kilobytes(dimension),
                payload_m=0,
            )
            if hnsw
            else models.HnswConfigDiff(m=0),
            # One segment, as in the index of a release: of several, each would be small enough to be scanned.
            optimizers_config=models.OptimizersConfigDiff(
                default_segment_number=1, indexing_threshold=hnsw.full_scan_kilobytes(dimension)
            )
            if hnsw
            else None,
            shard_number=shards,
            replication_factor=replicas,
            metadata=state.model_dump(),
        )
    if collection_state(client, collection) != state:
        raise IndexUnavailableError(
            "The Qdrant server does not keep what a collection says of itself: run Qdrant 1.16 or newer."
        )
    with answering():
        for field, kind in _FIELDS.items():
            client.create_payload_index(collection, field, kind)


def _upload(
    client: QdrantClient,
    collection: str,
    movie_ids: NDArray[np.int64],
    vectors: NDArray[np.float32],
    payloads: Sequence[Mapping[str, Any]],
) -> None:
    for start in range(0, len(movie_ids), _BATCH):
        ids = movie_ids[start : start + _BATCH].tolist()
        some = payloads[start : start + _BATCH]
        with answering():
            client.upsert(
                collection,
                models.Batch(
                    ids=ids,
                    vectors=vectors[start : start + _BATCH].tolist(),
                    payloads=[
                        {**payload, MOVIE_ID: movie_id} for movie_id, payload in zip(ids, some, strict=True)
                    ],
                ),
                wait=True,
            )
        done = start + len(ids)
        if done == len(movie_ids) or done % (_BATCH * _SHOWN_EVERY) == 0:
            logger.info("%s of %s movies uploaded", f"{done:,}", f"{len(movie_ids):,}")


def _wait_until_green(client: QdrantClient, collection: str, wait_s: float) -> None:
    began = time.monotonic()
    while True:
        with answering():
            status = client.get_collection(collection).status
        if status == models.CollectionStatus.GREEN:
            return
        waited = time.monotonic() - began
        if status == models.CollectionStatus.RED or waited >= wait_s:
            raise IndexUnavailableError(
                f"{collection} is {status.value} after {waited:.0f} s. See the log of the Qdrant server, "
                "then sync again."
            )
        logger.info("the server builds the index: %s after %.0f s", status.value, waited)
        time.sleep(_POLL_S)


def _switch(client: QdrantClient, alias: str, collection: str) -> None:
    """Point the alias to a collection, and keep only that and the one before."""
    with answering():
        pointed = [each for each in client.get_aliases().aliases if each.alias_name == alias]
        before = pointed[0].collection_name if pointed else None
        if before == collection:
            return
        create = models.CreateAlias(collection_name=collection, alias_name=alias)
        client.update_collection_aliases(
            [
                *(
                    models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias))
                    for _ in pointed
                ),
                models.CreateAliasOperation(create_alias=create),
            ]
        )
        names = [each.name for each in client.get_collections().collections]
    logger.info("%s points to %s", alias, collection)
    for name in names:
        if name in {collection, before}:
            continue
        state = collection_state(client, name)
        # Others may have collections whose names begin alike.
        if state is not None and name == collection_of(state.release, alias):
            with answering():
                client.delete_collection(name)
            logger.info("%s deleted", name)
