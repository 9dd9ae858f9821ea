"""EASE cut to few numbers, against EASE itself and against a singular value decomposition."""

import numpy as np
import pytest

from recommender.evaluation.baselines.ease import ease_weights
from recommender.evaluation.baselines.rating_matrix import rating_matrix
from recommender.features.transformed_examples import History
from recommender.models.low_rank_ease import LowRankEaseConfig, low_rank_ease

N_USERS, N_MOVIES = 60, 25
WHOLE = LowRankEaseConfig(piece_length=None, regularization=5.0)


@pytest.fixture(scope="module")
def history():
    random = np.random.default_rng(0)
    taste = random.normal(size=(N_USERS, 3)) @ random.normal(size=(3, N_MOVIES))
    rated = taste + random.normal(size=taste.shape) > 0.8
    rated[:, 7] = False
    user, movie = np.nonzero(rated)
    splits = np.concatenate([[0], np.cumsum(np.bincount(user, minlength=N_USERS))]).astype(np.int64)
    return History(splits, movie.astype(np.int32), np.ones(len(movie), np.float32))


def scores(history, ease):
    return rating_matrix(history, N_MOVIES) @ ease.of_history @ ease.of_movie.T


def test_with_a_number_for_every_movie_nothing_of_ease_is_lost(history):
    ease = low_rank_ease(history, N_MOVIES, WHOLE.model_copy(update={"rank": N_MOVIES}))
    wanted = rating_matrix(history, N_MOVIES) @ ease_weights(history, N_MOVIES, 5.0)
    np.testing.assert_allclose(scores(history, ease), wanted, atol=1e-5)


@pytest.mark.parametrize("rank", [1, 4, 10])
def test_what_is_kept_is_as_near_to_ease_as_its_rank_allows(history, rank):
    ease = low_rank_ease(history, N_MOVIES, WHOLE.model_copy(update={"rank": rank}))
    full = rating_matrix(history, N_MOVIES) @ ease_weights(history, N_MOVIES, 5.0)
    left, values, right = np.linalg.svd(full, full_matrices=False)
    nearest = (left[:, :rank] * values[:rank]) @ right[:rank]
    np.testing.assert_allclose(scores(history, ease), nearest, atol=1e-4)


def test_it_is_the_same_each_time(history):
    first, second = (low_rank_ease(history, N_MOVIES, WHOLE) for _ in range(2))
    np.testing.assert_array_equal(first.of_history, second.of_history)


def test_movies_without_ratings_and_those_that_memory_has_no_room_for_get_nothing(history):
    counts = np.bincount(history.movie_index, minlength=N_MOVIES)
    tenth = np.sort(counts)[-10]
    config = LowRankEaseConfig(piece_length=None, rank=4, memory_gb=8 * 10**2 / 1e9)
    of_movie = low_rank_ease(history, N_MOVIES, config).of_movie
    filled = np.flatnonzero(of_movie.any(axis=1))
    assert len(filled) == 10
    assert counts[filled].min() >= tenth
    assert not low_rank_ease(history, N_MOVIES, WHOLE).of_movie[7].any()


def test_pieces_tell_what_was_rated_together(history):
    # All rated 0, 1, 2 and 3, but 0 with 1 and 2 with 3 at a time.
    together = History(
        np.arange(0, 41, 4), np.tile(np.arange(4, dtype=np.int32), 10), np.ones(40, np.float32)
    )
    config = LowRankEaseConfig(rank=4, regularization=1.0, piece_length=2)
    ease = low_rank_ease(together, 4, config)
    of_0 = ease.of_history[0] @ ease.of_movie.T
    # Gram matrix of each pair: [[11, 10], [10, 11]], so the weight is 10 / 11; nothing across pairs.
    np.testing.assert_allclose(of_0, [0, 10 / 11, 0, 0], atol=1e-6)
