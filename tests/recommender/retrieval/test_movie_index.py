"""What every movie index does, whichever engine is behind it."""

import hashlib
import os
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qdrant_client import QdrantClient

from benchmarks.qdrant_over_http import qdrant_over_http
from recommender.errors import IndexUnavailableError
from recommender.retrieval.configuration import HnswConfig, IndexerConfig
from recommender.retrieval.edge_index import EdgeMovieIndex
from recommender.retrieval.exact_index import ExactMovieIndex
from recommender.retrieval.movie_filter import MovieFilter
from recommender.retrieval.movie_index import MovieIndex
from recommender.retrieval.qdrant_index import QdrantMovieIndex, connect
from recommender.retrieval.sync_index import sync_index

MOVIES, DIMENSION = 400, 12
GENRES = ("Drama", "Comedy", "Film-Noir", "(no genres listed)")
VERSION = "20260102T030405Z-0123abcd"


def random_movies(seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    movie_ids = np.sort(generator.choice(100_000, size=MOVIES, replace=False))
    # Of many lengths, some of length 0, and some twice: dot products, and ties.
    vectors = generator.normal(size=(MOVIES, DIMENSION)) * generator.uniform(0.1, 3, (MOVIES, 1))
    vectors[::40] = 0
    vectors[1::10] = vectors[1]
    return movie_ids, vectors.astype(np.float32)


def random_payloads(seed: int = 6) -> list[dict[str, Any]]:
    generator = np.random.default_rng(seed)
    return [
        {
            "genres": [genre for genre in GENRES if generator.random() < 0.4],
            "release_year": int(generator.integers(1950, 2000)) if generator.random() < 0.9 else None,
            "rating_count": int(generator.integers(0, 50)),
        }
        for _ in range(MOVIES)
    ]


def passes(movie: dict[str, Any], wanted: MovieFilter) -> bool:
    genres, year = set(movie["genres"]), movie["release_year"]
    return (
        (not wanted.genres_any or bool(genres & set(wanted.genres_any)))
        and genres >= set(wanted.genres_all)
        and not genres & set(wanted.genres_none)
        and (wanted.year_from is None or (year is not None and year >= wanted.year_from))
        and (wanted.year_to is None or (year is not None and year <= wanted.year_to))
        and movie["rating_count"] >= wanted.min_ratings
    )


some_genres = st.lists(st.sampled_from([*GENRES, "Western"]), max_size=2, unique=True).map(tuple)
some_year = st.none() | st.integers(1945, 2005)
filters = st.builds(
    MovieFilter, some_genres, some_genres, some_genres, some_year, some_year, st.integers(0, 55)
)


class MovieIndexContract:
    """Every `MovieIndex` passes these; a subclass gives `index`."""

    movie_ids, vectors = random_movies()
    payloads = random_payloads()
    query = np.random.default_rng(4).normal(size=DIMENSION).astype(np.float32)

    def expected(self, query: Any = None, exclude: Any = (), wanted: MovieFilter | None = None) -> list[int]:
        # Rounded, because every engine adds in an order of its own; equal vectors stay equal.
        scores = np.round(self.vectors.astype(np.float64) @ (self.query if query is None else query), 4)
        return [
            int(self.movie_ids[row])
            for row in np.lexsort((self.movie_ids, -scores))
            if self.movie_ids[row] not in exclude and passes(self.payloads[row], wanted or MovieFilter())
        ]

    def test_finds_what_an_exact_search_finds(self, index: MovieIndex) -> None:
        for exact in (False, True):
            found = index.search(self.query, 25, exact=exact)
            assert [movie.movie_id for movie in found] == self.expected()[:25]
            rows = np.searchsorted(self.movie_ids, [movie.movie_id for movie in found])
            np.testing.assert_allclose(
                [movie.score for movie in found], self.vectors[rows] @ self.query, rtol=1e-5
            )

    def test_excluded_movies_never_come_back(self, index: MovieIndex) -> None:
        exclude = self.expected()[:200:2]
        found = [movie.movie_id for movie in index.search(self.query, 100, exclude=exclude)]
        assert found == self.expected(exclude=exclude)[:100]

    def test_a_limit_above_the_count_gives_every_movie(self, index: MovieIndex) -> None:
        assert len(index.search(self.query, 10 * MOVIES)) == MOVIES == index.count()
        exclude = self.movie_ids[1:].tolist()
        assert [movie.movie_id for movie in index.search(self.query, 10, exclude=exclude)] == [
            int(self.movie_ids[0])
        ]
        assert len(index.search(self.query, 10, exclude=self.movie_ids.tolist())) == 0

    def test_excluding_movies_it_does_not_hold_changes_nothing(self, index: MovieIndex) -> None:
        assert list(index.search(self.query, 5, exclude=[100_001])) == list(index.search(self.query, 5))

    def test_of_equal_movies_those_with_lower_ids_come_back_first(self, index: MovieIndex) -> None:
        equals = self.movie_ids[1::10].tolist()
        query = self.vectors[1]
        everything = [movie.movie_id for movie in index.search(query, MOVIES)]
        first = everything.index(equals[0])
        assert everything[first : first + len(equals)] == equals
        for limit in range(first + 1, first + len(equals) + 1):
            assert [movie.movie_id for movie in index.search(query, limit)] == everything[:limit]
        (found,) = index.search_batch(query[np.newaxis], first + 3)
        assert [movie.movie_id for movie in found] == everything[: first + 3]

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    @given(wanted=filters, exclude=st.sets(st.sampled_from(random_movies()[0].tolist()), max_size=300))
    def test_only_movies_that_pass_come_back_and_as_many_as_there_are(
        self, index: MovieIndex, wanted: MovieFilter, exclude: set[int]
    ) -> None:
        found = index.search(self.query, 30, exclude=sorted(exclude), filter=wanted)
        assert [movie.movie_id for movie in found] == self.expected(exclude=exclude, wanted=wanted)[:30]

    def test_a_batch_gives_what_single_searches_give(self, index: MovieIndex) -> None:
        queries = np.random.default_rng(5).normal(size=(7, DIMENSION)).astype(np.float32)
        excludes = [self.expected(query)[: 20 * row] for row, query in enumerate(queries)]
        wanted = MovieFilter(genres_any=("Drama",), min_ratings=3)
        batch = index.search_batch(queries, 9, excludes=excludes, filter=wanted)
        assert [[movie.movie_id for movie in found] for found in batch] == [
            self.expected(query, exclude, wanted)[:9]
            for query, exclude in zip(queries, excludes, strict=True)
        ]
        assert [[movie.movie_id for movie in found] for found in index.search_batch(queries, 9)] == [
            self.expected(query)[:9] for query in queries
        ]
        assert index.search_batch(queries[:0], 9) == []

    def test_a_batch_whose_parts_do_not_go_together_is_refused(self, index: MovieIndex) -> None:
        with pytest.raises(ValueError, match="400 vectors do not go with 1 list"):
            index.search_batch(self.vectors, 5, excludes=[[1]])

    def test_answers_several_threads_at_once(self, index: MovieIndex) -> None:
        queries = np.random.default_rng(5).normal(size=(40, DIMENSION)).astype(np.float32)
        alone = [list(index.search(query, 5)) for query in queries]
        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(lambda query: list(index.search(query, 5)), queries)) == alone


class TestExactMovieIndex(MovieIndexContract):
    @pytest.fixture(scope="class")
    def index(self) -> MovieIndex:
        return ExactMovieIndex(self.movie_ids, self.vectors, self.payloads)

    def test_without_payloads_it_cannot_filter(self) -> None:
        index = ExactMovieIndex(self.movie_ids, self.vectors)
        with pytest.raises(ValueError, match="cannot be filtered"):
            index.search(self.query, 5, filter=MovieFilter(min_ratings=1))


class TestEdgeMovieIndex(MovieIndexContract):
    @pytest.fixture(scope="class")
    def index(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MovieIndex]:
        folder = tmp_path_factory.mktemp("exact") / "index"
        EdgeMovieIndex.build(folder, self.movie_ids, self.vectors, self.payloads)
        opened = EdgeMovieIndex.open(folder)
        yield opened
        opened.close()


# As many candidates as movies, so that an approximate search finds what an exact one does.
# With so many links that the graph leads to every movie, however the threads that build it take turns.
EVERY_CANDIDATE = HnswConfig(links=64, search_candidates=MOVIES, build_candidates=MOVIES, exact_below=1)


class TestEdgeMovieIndexWithHnsw(MovieIndexContract):
    @pytest.fixture(scope="class")
    def index(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MovieIndex]:
        folder = tmp_path_factory.mktemp("hnsw") / "index"
        EdgeMovieIndex.build(folder, self.movie_ids, self.vectors, self.payloads, hnsw=EVERY_CANDIDATE)
        opened = EdgeMovieIndex.open(folder)
        yield opened
        opened.close()


@pytest.mark.filterwarnings("ignore:.*local:UserWarning", "ignore:Local mode:UserWarning")
class QdrantContract(MovieIndexContract):
    """A subclass gives `client`."""

    @pytest.fixture(scope="class")
    def index(self, client: QdrantClient) -> Iterator[MovieIndex]:
        alias = f"test-{uuid.uuid4().hex}"
        config = IndexerConfig(hnsw=EVERY_CANDIDATE)
        queries = np.random.default_rng(5).normal(size=(10, DIMENSION)).astype(np.float32)
        sync_index(client, VERSION, self.movie_ids, self.vectors, self.payloads, queries, config, alias=alias)
        opened = QdrantMovieIndex.open(client, VERSION, alias=alias)
        yield opened
        client.delete_collection(f"{alias}-{VERSION}")
        opened.close()


class TestQdrantMovieIndexInMemory(QdrantContract):
    @pytest.fixture(scope="class")
    def client(self) -> QdrantClient:
        return QdrantClient(":memory:")


class TestQdrantMovieIndexOverHttp(QdrantContract):
    @pytest.fixture(scope="class")
    def client(self) -> Iterator[QdrantClient]:
        with qdrant_over_http() as url:
            yield connect(url, timeout_s=30)


@pytest.mark.skipif("QDRANT_URL" not in os.environ, reason="QDRANT_URL names no server")
class TestQdrantMovieIndexOnAServer(QdrantContract):
    @pytest.fixture(scope="class")
    def client(self) -> QdrantClient:
        return connect(os.environ["QDRANT_URL"], api_key=os.environ.get("QDRANT_API_KEY"), timeout_s=30)


def test_however_many_nearest_movies_are_excluded_an_approximate_search_finds_those_behind(
    tmp_path: Path,
) -> None:
    generator = np.random.default_rng(8)
    vectors = generator.normal(size=(4000, DIMENSION)).astype(np.float32)
    EdgeMovieIndex.build(tmp_path / "index", np.arange(4000), vectors, hnsw=HnswConfig(exact_below=1))
    index = EdgeMovieIndex.open(tmp_path / "index")
    shares = []
    for query in vectors[:20]:
        nearest = np.argsort(-(vectors @ query))
        found = index.search(query, 50, exclude=nearest[:300].tolist())
        shares.append(len(np.intersect1d(found.movie_ids, nearest[300:350])) / 50)
    index.close()
    assert np.mean(shares) > 0.95


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_searching_leaves_the_folder_as_it_was_built(tmp_path: Path) -> None:
    EdgeMovieIndex.build(tmp_path, *random_movies())
    before = digests(tmp_path)
    for path in tmp_path.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    first, second = EdgeMovieIndex.open(tmp_path), EdgeMovieIndex.open(tmp_path)
    query = np.ones(DIMENSION, np.float32)
    assert list(first.search(query, 5)) == list(second.search(query, 5))
    first.close()
    assert second.count() == MOVIES
    second.close()
    for path in [tmp_path, *tmp_path.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert digests(tmp_path) == before


def test_the_same_movies_give_the_same_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        EdgeMovieIndex.build(tmp_path / name, *random_movies(), payloads=[{"x": 1, "y": 2}] * MOVIES)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def test_the_copy_is_removed_when_an_index_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "copies").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "copies"))
    EdgeMovieIndex.build(tmp_path / "index", *random_movies())
    index = EdgeMovieIndex.open(tmp_path / "index")
    assert len(list((tmp_path / "copies").iterdir())) == 1
    index.close()
    assert list((tmp_path / "copies").iterdir()) == []
    with pytest.raises(IndexUnavailableError, match="did not answer"):
        index.search(np.ones(DIMENSION, np.float32), 5)
    with pytest.raises(IndexUnavailableError, match="did not answer"):
        index.count()


def break_nothing(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            path.unlink()


def break_segment(folder: Path) -> None:
    for path in folder.rglob("segment.json"):
        path.write_text("{")


@pytest.mark.parametrize(
    ("damage", "said"), [(break_nothing, "no index"), (break_segment, "cannot be opened")]
)
def test_a_damaged_index_is_told(tmp_path: Path, damage: Callable[[Path], None], said: str) -> None:
    EdgeMovieIndex.build(tmp_path, *random_movies())
    damage(tmp_path)
    with pytest.raises(IndexUnavailableError, match=said):
        EdgeMovieIndex.open(tmp_path)


@pytest.mark.parametrize(
    ("movie_ids", "payloads", "said"),
    [
        ([1, 2, 3], None, "3 movies"),
        ([1, 1], None, "each once"),
        ([-1, 1], None, "0 or more"),
        ([1, 2], [{}], "1 pay"),
    ],
)
def test_movies_that_cannot_be_indexed_are_refused(
    tmp_path: Path, movie_ids: list[int], payloads: Any, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        EdgeMovieIndex.build(tmp_path, np.array(movie_ids), np.ones((2, 3), np.float32), payloads)


def test_a_folder_in_use_is_not_written_over(tmp_path: Path) -> None:
    EdgeMovieIndex.build(tmp_path, *random_movies())
    with pytest.raises(IndexUnavailableError, match="could not be written"):
        EdgeMovieIndex.build(tmp_path, *random_movies())
