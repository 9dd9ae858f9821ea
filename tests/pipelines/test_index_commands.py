"""`marquee index sync`, from a release to a server."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from qdrant_client import QdrantClient
from typer.testing import CliRunner

from benchmarks.qdrant_over_http import qdrant_over_http
from pipelines.cli import app
from recommender import release as releases
from recommender.errors import IndexUnavailableError, ReleaseError
from recommender.retrieval.build_index import build_index
from recommender.retrieval.configuration import IndexerConfig
from recommender.retrieval.exact_index import ExactMovieIndex
from recommender.retrieval.movie_filter import MovieFilter
from recommender.retrieval.qdrant_index import QdrantMovieIndex, connect

MOVIES, USERS, DIMENSION = 60, 9, 5


def write_parts(folder: Path, seed: int) -> dict[str, Path]:
    generator = np.random.default_rng(seed)
    vectors = generator.normal(size=(MOVIES + USERS, DIMENSION)).astype(np.float32).tolist()
    movies = {
        "movie_id": range(1, MOVIES + 1),
        "title": ["A movie"] * MOVIES,
        "genres": [["Drama"], ["Comedy"], []] * (MOVIES // 3),
        "release_year": [1990, None] * (MOVIES // 2),
        "tags": [[]] * MOVIES,
        "rating_count": range(MOVIES),
        "rating_mean": [3.0] * MOVIES,
        "embedding": vectors[:MOVIES],
    }
    users = {"user_id": range(USERS), "rating_count": [1] * USERS, "embedding": vectors[MOVIES:]}
    history = {
        "user_id": range(USERS),
        "movie_id": [1] * USERS,
        "rating": [4.0] * USERS,
        "timestamp": [1] * USERS,
    }
    folder.mkdir()
    pq.write_table(pa.table(movies, schema=releases.MOVIES_SCHEMA), folder / "movies.parquet")
    pq.write_table(pa.table(users, schema=releases.USERS_SCHEMA), folder / "users.parquet")
    pq.write_table(pa.table(history, schema=releases.HISTORY_SCHEMA), folder / "history.parquet")
    for model in ("user_tower", "movie_tower", "ranker"):
        (folder / model).mkdir()
        (folder / model / "saved_model.pb").write_bytes(model.encode())
    build_index(folder, IndexerConfig(), folder / "index")
    return {name: folder / name for name in releases.PARTS}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two releases; the first one is live."""
    root = tmp_path_factory.mktemp("root")
    manifest = {
        "dataset": "invented",
        "config": {"indexer": IndexerConfig(recall_users=4).model_dump(mode="json")},
        "seed": 1,
        "git_commit": None,
        "libraries": {},
        "data": {},
        "counts": {"users": USERS, "movies": MOVIES, "ratings": USERS},
        "dimension": DIMENSION,
        "metrics": {},
    }
    versions = [
        releases.write_release(root / "releases", write_parts(root / f"parts-{seed}", seed), manifest)
        for seed in (1, 2)
    ]
    releases.promote(root / "releases", versions[0])
    return root


@pytest.fixture
def server() -> Iterator[str]:
    with qdrant_over_http() as url:
        yield url


def sync(root: Path, *arguments: str, **environment: str) -> str:
    result = CliRunner().invoke(
        app,
        ["index", "sync", "--root", str(root), *arguments],
        env={"COLUMNS": "200", **environment},
        catch_exceptions=True,
    )
    if result.exception is not None:
        raise result.exception
    return result.output


@pytest.mark.filterwarnings("ignore:Api key is used:UserWarning")
def test_brings_a_server_to_the_live_release(root: Path, server: str) -> None:
    first, second = releases.list_releases(root / "releases")
    said = sync(root, QDRANT_URL=server, QDRANT_API_KEY="nobody-sees-this")
    assert "60 of 60 movies uploaded" in said
    assert f"The server has release {first}: marquee points to marquee-{first}, recall@100 1.0000" in said
    assert "nobody-sees-this" not in said
    assert f"marquee-{second}" in sync(root, "--release", second, "--url", server)

    release = releases.Release.load(root / "releases" / second)
    exact = ExactMovieIndex.of_release(release)
    index = QdrantMovieIndex.open(connect(server), second)
    wanted = MovieFilter(genres_any=("Drama",), year_from=1980)
    for vector in release.user_vectors:
        found = index.search(vector, 8, exclude=[1, 7], filter=wanted)
        expected = exact.search(vector, 8, exclude=[1, 7], filter=wanted)
        assert [movie.movie_id for movie in found] == [movie.movie_id for movie in expected]
    index.close()


def test_a_cluster_is_told_how_many_shards_and_replicas(
    root: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []

    def create(client: QdrantClient, *arguments: Any, **options: Any) -> bool:
        told.append(options)
        return created(client, *arguments, **options)

    created = QdrantClient.create_collection
    monkeypatch.setattr(QdrantClient, "create_collection", create)
    sync(root, "--url", server, "--shards", "2", "--replicas", "3")
    options = next(each for each in told if "shard_number" in each)
    assert (options["shard_number"], options["replication_factor"]) == (2, 3)


def test_a_release_that_is_not_there_is_told_with_those_that_are(root: Path) -> None:
    with pytest.raises(ReleaseError, match=r"There is no release 1999 in .* There are: 2"):
        sync(root, "--release", "1999")


def test_a_server_that_is_not_there_is_told(root: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(IndexUnavailableError, match="Connection refused"):
        sync(root, "--url", f"http://127.0.0.1:{port}")
