"""Bringing a Qdrant server to a release, on the client's own engine in memory."""

from typing import Any

import numpy as np
import pytest
from qdrant_client import QdrantClient, models

from recommender.errors import IndexQualityError, IndexUnavailableError
from recommender.retrieval.configuration import HnswConfig, IndexerConfig
from recommender.retrieval.movie_filter import MovieFilter
from recommender.retrieval.qdrant_index import (
    ALIAS,
    CollectionState,
    QdrantMovieIndex,
    collection_of,
    collection_state,
)
from recommender.retrieval.sync_index import sync_index

pytestmark = pytest.mark.filterwarnings("ignore:.*local:UserWarning", "ignore:Local mode:UserWarning")

VERSIONS = [f"2026010{day}T000000Z-0000000{day}" for day in range(1, 5)]
MOVIES = 30
IDS = np.arange(10, 10 + MOVIES)
VECTORS = np.random.default_rng(1).normal(size=(MOVIES, 4)).astype(np.float32)
PAYLOADS = [{"genres": ["Drama"], "release_year": 1990 + row, "rating_count": row} for row in range(MOVIES)]


def sync(client: QdrantClient, version: str, vectors: Any = VECTORS, **config: Any) -> float:
    settings = IndexerConfig.from_mapping(config)
    return sync_index(client, version, IDS, vectors, PAYLOADS, VECTORS[:5], settings)


def pointed_to(client: QdrantClient) -> dict[str, str]:
    return {each.alias_name: each.collection_name for each in client.get_aliases().aliases}


def collections(client: QdrantClient) -> set[str]:
    return {each.name for each in client.get_collections().collections}


@pytest.fixture
def client() -> QdrantClient:
    return QdrantClient(":memory:")


def test_a_release_is_found_by_its_version_and_by_the_alias(client: QdrantClient) -> None:
    assert sync(client, VERSIONS[0]) == 1.0
    index = QdrantMovieIndex.open(client, VERSIONS[0])
    assert index.count() == MOVIES
    assert [movie.movie_id for movie in index.search(VECTORS[3], 2, filter=MovieFilter(year_to=1990))] == [10]
    assert pointed_to(client) == {ALIAS: collection_of(VERSIONS[0])}
    assert client.count(ALIAS).count == MOVIES


def test_the_collection_before_stays_and_older_ones_go(client: QdrantClient) -> None:
    client.create_collection(
        "marquee-of-somebody-else", vectors_config=models.VectorParams(size=2, distance="Dot")
    )
    for version in VERSIONS[:3]:
        sync(client, version)
    kept = {collection_of(VERSIONS[1]), collection_of(VERSIONS[2])}
    assert collections(client) == {*kept, "marquee-of-somebody-else"}
    assert pointed_to(client) == {ALIAS: collection_of(VERSIONS[2])}


def test_going_back_to_the_release_before_only_switches(client: QdrantClient) -> None:
    sync(client, VERSIONS[0])
    sync(client, VERSIONS[1])
    assert sync(client, VERSIONS[0], vectors=VECTORS) == 1.0
    assert pointed_to(client) == {ALIAS: collection_of(VERSIONS[0])}
    assert collections(client) == {collection_of(VERSIONS[0]), collection_of(VERSIONS[1])}


def test_syncing_twice_changes_nothing(client: QdrantClient) -> None:
    sync(client, VERSIONS[0])
    sync(client, VERSIONS[1])
    before = pointed_to(client), collections(client)
    sync(client, VERSIONS[1])
    assert (pointed_to(client), collections(client)) == before


def test_an_interrupted_build_is_seen_by_nobody_and_a_rerun_takes_it_away(
    client: QdrantClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(client, VERSIONS[0])

    def interrupted(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    for name in ("upsert", "count", "query_batch_points", "update_collection", "update_collection_aliases"):
        with monkeypatch.context() as patched:
            patched.setattr(client, name, interrupted)
            with pytest.raises(KeyboardInterrupt):
                sync(client, VERSIONS[1])
        assert pointed_to(client) == {ALIAS: collection_of(VERSIONS[0])}
        if name != "update_collection_aliases":
            with pytest.raises(IndexUnavailableError, match="no whole index"):
                QdrantMovieIndex.open(client, VERSIONS[1])
    sync(client, VERSIONS[1])
    assert QdrantMovieIndex.open(client, VERSIONS[1]).count() == MOVIES
    assert pointed_to(client) == {ALIAS: collection_of(VERSIONS[1])}


def test_what_an_interrupted_build_of_another_release_left_is_deleted(
    client: QdrantClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*args: Any, **kwargs: Any) -> None:
        raise ConnectionError("gone")

    with monkeypatch.context() as patched:
        patched.setattr(client, "upsert", stopped)
        with pytest.raises(IndexUnavailableError, match="gone"):
            sync(client, VERSIONS[0])
    assert collections(client) == {collection_of(VERSIONS[0])}
    sync(client, VERSIONS[1])
    assert collections(client) == {collection_of(VERSIONS[1])}


def test_a_server_that_lost_movies_is_not_switched_to(client: QdrantClient) -> None:
    sync(client, VERSIONS[0])
    sync(client, VERSIONS[1])
    client.delete(collection_of(VERSIONS[0]), models.PointIdsList(points=[12, 13]))
    with pytest.raises(IndexUnavailableError, match="28 of the 30 movies"):
        sync(client, VERSIONS[0])
    assert pointed_to(client) == {ALIAS: collection_of(VERSIONS[1])}


def test_an_index_that_finds_too_little_is_not_switched_to(client: QdrantClient) -> None:
    sync(client, VERSIONS[0])
    sync(client, VERSIONS[1])
    # The collection of the first release is searched for movies of other vectors.
    others = np.random.default_rng(2).normal(size=VECTORS.shape).astype(np.float32)
    others[20:] = 100
    with pytest.raises(IndexQualityError, match=r"minimum_recall is 1\.0"):
        sync_index(
            client,
            VERSIONS[0],
            np.append(IDS[:-1], 9999),
            others,
            PAYLOADS,
            VECTORS[:5],
            IndexerConfig(minimum_recall=1.0),
        )
    assert pointed_to(client) == {ALIAS: collection_of(VERSIONS[1])}


def test_the_collection_is_built_as_configured(client: QdrantClient) -> None:
    hnsw = HnswConfig(links=7, build_candidates=33, search_candidates=44, exact_below=2)
    sync(client, VERSIONS[0], hnsw=hnsw.model_dump())
    state = collection_state(client, collection_of(VERSIONS[0]))
    assert state == CollectionState(release=VERSIONS[0], search_candidates=44, whole=True)
    sync(client, VERSIONS[1], hnsw=None)
    state = collection_state(client, collection_of(VERSIONS[1]))
    assert state == CollectionState(release=VERSIONS[1], search_candidates=None, whole=True)
