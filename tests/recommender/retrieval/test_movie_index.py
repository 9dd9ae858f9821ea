"""What every movie index does, whichever engine is behind it."""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recommender.errors import IndexUnavailableError
from recommender.retrieval.configuration import HnswConfig
from recommender.retrieval.edge_index import EdgeMovieIndex
from recommender.retrieval.exact_index import ExactMovieIndex
from recommender.retrieval.movie_index import MovieIndex

MOVIES, DIMENSION = 400, 12


def random_movies(seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    movie_ids = np.sort(generator.choice(100_000, size=MOVIES, replace=False))
    return movie_ids, generator.normal(size=(MOVIES, DIMENSION)).astype(np.float32)


class MovieIndexContract:
    """Every `MovieIndex` passes these; a subclass gives `index`."""

    movie_ids, vectors = random_movies()
    query = np.random.default_rng(4).normal(size=DIMENSION).astype(np.float32)

    def expected(self, exclude: Any = ()) -> list[int]:
        scores = self.vectors.astype(np.float64) @ self.query
        return [int(self.movie_ids[row]) for row in np.argsort(-scores) if self.movie_ids[row] not in exclude]

    def test_finds_what_an_exact_search_finds(self, index: MovieIndex) -> None:
        found = index.search(self.query, 25)
        assert [movie.movie_id for movie in found] == self.expected()[:25]
        rows = np.searchsorted(self.movie_ids, [movie.movie_id for movie in found])
        np.testing.assert_allclose(
            [movie.score for movie in found], self.vectors[rows] @ self.query, rtol=1e-5
        )

    def test_excluded_movies_never_come_back(self, index: MovieIndex) -> None:
        exclude = self.expected()[:200:2]
        found = [movie.movie_id for movie in index.search(self.query, 100, exclude=exclude)]
        assert found == self.expected(exclude)[:100]

    def test_a_limit_above_the_count_gives_every_movie(self, index: MovieIndex) -> None:
        assert len(index.search(self.query, 10 * MOVIES)) == MOVIES == index.count()
        exclude = self.movie_ids[1:].tolist()
        assert [movie.movie_id for movie in index.search(self.query, 10, exclude=exclude)] == [
            int(self.movie_ids[0])
        ]
        assert index.search(self.query, 10, exclude=self.movie_ids.tolist()) == []

    def test_excluding_movies_it_does_not_hold_changes_nothing(self, index: MovieIndex) -> None:
        assert index.search(self.query, 5, exclude=[100_001]) == index.search(self.query, 5)

    def test_answers_several_threads_at_once(self, index: MovieIndex) -> None:
        queries = np.random.default_rng(5).normal(size=(40, DIMENSION)).astype(np.float32)
        alone = [index.search(query, 5) for query in queries]
        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(lambda query: index.search(query, 5), queries)) == alone


class TestExactMovieIndex(MovieIndexContract):
    @pytest.fixture
    def index(self, tmp_path: Path) -> MovieIndex:
        return ExactMovieIndex(self.movie_ids, self.vectors)

    def test_equal_scores_come_lower_id_first(self) -> None:
        index = ExactMovieIndex(np.array([3, 8, 9]), np.float32([[1, 0], [2, 0], [1, 0]]))
        assert [movie.movie_id for movie in index.search(np.float32([1, 0]), 3)] == [8, 3, 9]


class TestEdgeMovieIndex(MovieIndexContract):
    @pytest.fixture
    def index(self, tmp_path: Path) -> Iterator[MovieIndex]:
        payloads = [{"genres": ["Drama"], "release_year": None, "rating_count": 3}] * MOVIES
        EdgeMovieIndex.build(tmp_path / "index", self.movie_ids, self.vectors, payloads)
        opened = EdgeMovieIndex.open(tmp_path / "index")
        yield opened
        opened.close()


class TestEdgeMovieIndexWithHnsw(MovieIndexContract):
    @pytest.fixture
    def index(self, tmp_path: Path) -> Iterator[MovieIndex]:
        # As many candidates as movies, so that an approximate search finds what an exact one does.
        hnsw = HnswConfig(search_candidates=MOVIES, build_candidates=MOVIES)
        EdgeMovieIndex.build(tmp_path / "index", self.movie_ids, self.vectors, hnsw=hnsw)
        opened = EdgeMovieIndex.open(tmp_path / "index")
        yield opened
        opened.close()


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
    assert first.search(np.ones(DIMENSION, np.float32), 5) == second.search(np.ones(DIMENSION, np.float32), 5)
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
