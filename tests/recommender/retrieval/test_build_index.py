"""Building the index of a release, and measuring what it finds."""

import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recommender.data.vector_column import to_column
from recommender.errors import DataError, IndexQualityError
from recommender.retrieval.build_index import build_index
from recommender.retrieval.configuration import HnswConfig, IndexerConfig
from recommender.retrieval.edge_index import EdgeMovieIndex
from recommender.retrieval.exact_index import ExactMovieIndex
from recommender.retrieval.index_recall import enough_candidates, index_recall, spread_over
from recommender.retrieval.index_report import IndexReport
from recommender.retrieval.movie_filter import MovieFilter

MOVIES, USERS, DIMENSION = 1500, 40, 24
POOR = HnswConfig(links=2, build_candidates=4, search_candidates=1, exact_below=1)


@pytest.fixture(scope="module")
def embeddings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("embeddings")
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(MOVIES, DIMENSION)).astype(np.float32)
    movies = {
        "movie_id": np.arange(1, MOVIES + 1),
        "genres": [["Drama"] if row % 2 else ["Comedy", "Drama"] for row in range(MOVIES)],
        "release_year": pa.array([1950 + row % 50 for row in range(MOVIES)], pa.int32()),
        "rating_count": np.arange(MOVIES),
        "embedding": to_column(vectors),
    }
    users = to_column(generator.normal(size=(USERS, DIMENSION)).astype(np.float32))
    pq.write_table(pa.table(movies), folder / "movies.parquet")
    pq.write_table(pa.table({"user_id": np.arange(USERS), "embedding": users}), folder / "users.parquet")
    return folder


def test_a_small_catalogue_is_searched_exactly_and_the_report_says_so(
    embeddings: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        build_index(embeddings, IndexerConfig(), tmp_path / "index")
    assert "1,500 movies indexed in" in caplog.text
    assert "recall@100 1.0000 with the vectors of 40 users" in caplog.text
    assert IndexReport.read(tmp_path / "index") == IndexReport(
        movies=MOVIES,
        dimension=DIMENSION,
        search="exact",
        search_candidates=None,
        recall_at_100=1.0,
        users=USERS,
        minimum_recall=0.99,
    )
    index = EdgeMovieIndex.open(tmp_path / "index")
    found = index.search(np.ones(DIMENSION, np.float32), MOVIES, filter=MovieFilter(genres_any=("Comedy",)))
    assert {movie.movie_id % 2 for movie in found} == {1}
    assert len(found) == MOVIES // 2
    index.close()


def test_an_approximate_index_is_given_as_many_candidates_as_it_takes(
    embeddings: Path, tmp_path: Path
) -> None:
    hnsw = HnswConfig(search_candidates=20, exact_below=1)
    report = build_index(embeddings, IndexerConfig(hnsw=hnsw, recall_users=30), tmp_path / "index")
    assert report.search == "hnsw"
    assert (report.search_candidates or 0) >= 20
    assert report.recall_at_100 >= 0.99
    assert report.users == 30


def test_an_index_that_finds_too_little_fails_the_build_and_says_what_to_do(
    embeddings: Path, tmp_path: Path
) -> None:
    with pytest.raises(IndexQualityError, match=r"indexer\.minimum_recall is 0\.99: raise indexer\.hnsw"):
        build_index(embeddings, IndexerConfig(hnsw=POOR), tmp_path / "index")
    with pytest.raises(DataError, match="run Indexer again"):
        IndexReport.read(tmp_path / "index")


def test_exact_search_of_an_approximate_index_finds_everything(embeddings: Path, tmp_path: Path) -> None:
    config = IndexerConfig(hnsw=POOR, minimum_recall=0)
    assert build_index(embeddings, config, tmp_path / "index").recall_at_100 < 0.9
    index = EdgeMovieIndex.open(tmp_path / "index")
    movies = pq.read_table(embeddings / "movies.parquet")
    vectors = np.array(movies["embedding"].to_pylist(), np.float32)
    exact = ExactMovieIndex(movies["movie_id"].to_numpy(), vectors)
    for query in vectors[:10]:
        ids = [movie.movie_id for movie in index.search(query, 100, exact=True)]
        assert ids == [movie.movie_id for movie in exact.search(query, 100)]
    index.close()


def test_recall_is_the_share_of_the_best_movies_that_come_back() -> None:
    # Scores 1 to 200 for movies 0 to 199; the searched index lacks every 4th movie of the 100 best.
    ids, vectors = np.arange(200), np.arange(1, 201, dtype=np.float32)[:, np.newaxis]
    there = (ids < 100) | (ids % 4 != 0)
    index = ExactMovieIndex(ids[there], vectors[there])
    assert index_recall(index, ids, vectors, np.float32([[1], [2]])) == 75 / 100


def test_equal_movies_count_whichever_comes_back() -> None:
    ids, vectors = np.arange(300), np.ones((300, 2), np.float32)
    # Without the 150 lowest ids, which an exact search would bring back.
    index = ExactMovieIndex(ids[150:], vectors[150:])
    assert index_recall(index, ids, vectors, vectors[:3]) == 1.0


def test_candidates_are_raised_only_as_far_as_needed() -> None:
    assert enough_candidates(lambda tried: (tried or 0) / 100, 40, 0.9) == (92, 0.92)  # 40, 61, 92
    assert enough_candidates(lambda tried: 0.5, 2, 0.9)[1] == 0.5
    assert enough_candidates(lambda tried: 0.5, None, 0.9) == (None, 0.5)


def test_users_are_spread_over_all() -> None:
    vectors = np.arange(11, dtype=np.float32)[:, np.newaxis]
    assert spread_over(vectors, 3).ravel().tolist() == [0, 5, 10]
    assert spread_over(vectors, 500).ravel().tolist() == list(range(11))
