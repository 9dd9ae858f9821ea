"""The best movies for every user at once."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.release import History, Release
from recommender.retrieval.batch import RECOMMENDATIONS_SCHEMA, recommend_all, recommend_table


def by_hand(case: dict[str, Any], k: int) -> list[tuple[int, int, int]]:
    """(user, rank, movie), one user and one movie at a time."""
    rows = []
    for user, user_id in enumerate(case["user_ids"].tolist()):
        seen = case["seen_movie_ids"][case["seen_offsets"][user] : case["seen_offsets"][user + 1]]
        scored = [
            (-float(vector @ case["user_vectors"][user]), int(movie_id))
            for movie_id, vector in zip(case["movie_ids"], case["movie_vectors"], strict=True)
            if movie_id not in seen
        ]
        rows += [(user_id, rank, movie) for rank, (_, movie) in enumerate(sorted(scored)[:k], start=1)]
    return rows


def random_case(seed: int, users: int, movies: int, whole: bool) -> dict[str, Any]:
    """Users, movies and histories; whole numbers in vectors give many equal scores, exactly."""
    generator = np.random.default_rng(seed)

    def draw(rows: int) -> np.ndarray:
        vectors = generator.integers(-1, 2, (rows, 3)) if whole else generator.normal(size=(rows, 3))
        return vectors.astype(np.float32)

    lengths = generator.integers(0, movies + 1, users)
    movie_ids = np.sort(generator.choice(10 * movies, movies, replace=False))
    histories = [generator.choice(movie_ids, length, replace=False) for length in lengths]
    return {
        "user_ids": np.arange(users) * 2 + 1,
        "user_vectors": draw(users),
        "movie_ids": movie_ids,
        "movie_vectors": draw(movies),
        "seen_offsets": np.append(0, np.cumsum(lengths)),
        "seen_movie_ids": np.concatenate([*histories, np.empty(0, np.int64)]).astype(np.int64),
        "seen_ratings": np.full(lengths.sum(), 3.0, np.float32),
        "re_ranking": None,
    }


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    users=st.integers(1, 12),
    movies=st.integers(1, 30),
    k=st.integers(1, 35),
    block=st.integers(1, 100),
    whole=st.booleans(),
)
def test_equals_one_user_at_a_time(
    seed: int, users: int, movies: int, k: int, block: int, whole: bool
) -> None:
    case = random_case(seed, users, movies, whole)
    table = recommend_table(**case, k=k, block_scores=block)
    assert table.schema.equals(RECOMMENDATIONS_SCHEMA)
    rows = list(zip(*(table[name].to_pylist() for name in ("user_id", "rank", "movie_id")), strict=True))
    assert rows == by_hand(case, k)


def test_scores_are_dot_products() -> None:
    case = random_case(1, users=5, movies=20, whole=False)
    table = recommend_table(**case, k=4)
    users = np.searchsorted(case["user_ids"], table["user_id"].to_numpy())
    movies = np.searchsorted(case["movie_ids"], table["movie_id"].to_numpy())
    np.testing.assert_allclose(
        table["score"].to_numpy(),
        (case["user_vectors"][users] * case["movie_vectors"][movies]).sum(axis=1),
        rtol=1e-5,
    )


def test_seen_ids_that_are_no_movie_are_passed_over() -> None:
    case = random_case(2, users=1, movies=5, whole=False)
    case |= {"seen_offsets": np.array([0, 1]), "seen_movie_ids": np.array([999])}
    case |= {"seen_ratings": np.float32([3])}
    assert recommend_table(**case, k=5).num_rows == 5


def test_raters_without_a_vector_do_not_shift_the_others() -> None:
    release = SimpleNamespace(
        user_ids=np.array([2, 5]),
        user_vectors=np.float32([[1], [1]]),
        movie_ids=np.array([10, 20]),
        movie_vectors=np.float32([[2], [1]]),
        raters=np.array([1, 3, 5]),
        rating_counts=np.array([2, 1, 1]),
        histories=lambda start, stop: History(
            np.array([10, 20, 20, 10]), np.float32([3, 3, 3, 3]), np.arange(4)
        ),
        re_ranker_folder=None,
    )
    table = recommend_all(cast("Release", release), 2)
    assert table["user_id"].to_pylist() == [2, 2, 5]
    assert table["movie_id"].to_pylist() == [10, 20, 20]


def test_nobody_gets_nothing() -> None:
    case = random_case(3, users=1, movies=5, whole=False)
    case |= {"user_ids": np.empty(0, np.int64), "user_vectors": np.empty((0, 3), np.float32)}
    case |= {"seen_offsets": np.array([0]), "seen_movie_ids": np.empty(0, np.int64)}
    case |= {"seen_ratings": np.empty(0, np.float32)}
    assert recommend_table(**case, k=5).num_rows == 0


def test_asking_for_no_movie_is_an_error() -> None:
    with pytest.raises(ValueError, match="1 movie or more"):
        recommend_table(**random_case(4, users=1, movies=5, whole=False), k=0)
