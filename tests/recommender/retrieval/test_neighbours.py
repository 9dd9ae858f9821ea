"""Item-to-item evidence: sums of EASE's weights, from pieces of histories, for the movies that fit."""

import numpy as np
import pytest

from recommender.errors import DataError
from recommender.features.transformed_examples import History
from recommender.retrieval.neighbours import Neighbours, NeighboursConfig, fit_neighbours


def history_of(*movies, rating=4.0):
    lengths = [len(row) for row in movies]
    flat = np.array([movie for row in movies for movie in row], np.int32)
    splits = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return History(splits, flat, np.full(len(flat), rating, np.float32))


def dense(neighbours):
    matrix = np.zeros((neighbours.n_movies, neighbours.n_movies))
    matrix[neighbours.movies[:, np.newaxis], neighbours.neighbours] = neighbours.weight
    return matrix


def ease_by_regression(rows, n_movies, regularization):
    """Each movie predicted from the others by ridge regression: what EASE's closed form solves."""
    rated = np.zeros((len(rows), n_movies))
    for user, movies in enumerate(rows):
        rated[user, list(movies)] = 1.0
    weights = np.zeros((n_movies, n_movies))
    for movie in range(n_movies):
        others = np.delete(np.arange(n_movies), movie)
        x, y = rated[:, others], rated[:, movie]
        weights[others, movie] = np.linalg.solve(x.T @ x + regularization * np.eye(len(others)), x.T @ y)
    return weights


HISTORIES = ([0, 1, 2, 3], [1, 2], [0, 3, 4], [4, 2, 1, 0, 3], [0, 1])


def test_evidence_is_the_sum_of_the_weights_from_what_a_user_has_rated():
    # Movie 0 speaks for 1 by .5 and against 2 by .25; movie 1 speaks for 2 by 2; movie 2 for none.
    neighbours = Neighbours(
        3,
        movies=np.array([0, 1], np.int32),
        neighbours=np.array([[1, 2], [0, 2]], np.int32),
        weight=np.array([[0.5, -0.25], [0.0, 2.0]], np.float32),
    )
    history = history_of([0, 1], [], [0])
    candidates = np.array([[2, -1], [2, 1], [1, 2]])
    np.testing.assert_allclose(
        neighbours.evidence(history, candidates), [[-0.25 + 2.0, 0.0], [0.0, 0.0], [0.5, -0.25]]
    )
    value = np.array([2.0, -1.0, 3.0], np.float32)
    np.testing.assert_allclose(
        neighbours.evidence(history, candidates, value),
        [[2 * -0.25 - 1 * 2.0, 0.0], [0.0, 0.0], [3 * 0.5, 3 * -0.25]],
    )


def test_a_user_alone_gets_the_evidence_that_all_users_together_get():
    neighbours = fit_neighbours(history_of(*HISTORIES), 5, NeighboursConfig(regularization=0.7))
    history = history_of(*HISTORIES, [])
    candidates = np.array([[4, 0, -1], [3, 0, 1], [1, 2, -1], [-1, -1, -1], [2, 3, 4], [0, 1, 2]])
    value = np.random.default_rng(1).normal(size=len(history.movie_index)).astype(np.float32)
    together = neighbours.evidence(history, candidates, value)
    for user in range(history.n_users):
        rows = slice(history.row_splits[user], history.row_splits[user + 1])
        alone = neighbours.evidence(history.rows(user, user + 1), candidates[user : user + 1], value[rows])
        np.testing.assert_allclose(alone[0], together[user], rtol=1e-5, atol=1e-6)


def test_whole_histories_give_the_weights_of_ease():
    config = NeighboursConfig(piece_length=None, regularization=0.7)
    neighbours = fit_neighbours(history_of(*HISTORIES), 5, config)
    np.testing.assert_allclose(dense(neighbours), ease_by_regression(HISTORIES, 5, 0.7), atol=1e-5)


def test_a_piece_counts_as_a_user_of_its_own():
    config = NeighboursConfig(piece_length=2, regularization=0.7)
    pieces = ([0, 1], [2, 3], [1, 2], [0], [3, 4], [4, 2], [1, 0, 3], [0, 1])
    neighbours = fit_neighbours(history_of(*HISTORIES), 5, config)
    np.testing.assert_allclose(dense(neighbours), ease_by_regression(pieces, 5, 0.7), atol=1e-5)


def test_a_rating_can_count_as_much_as_it_is_high():
    history = history_of([0, 1], [0, 2], [0, 1, 2])
    history.rating[:] = [5.0, 1.0, 4.0, 2.0, 3.0, 3.0, 3.0]
    config = NeighboursConfig(piece_length=None, by_rating=True, regularization=0.7)
    neighbours = fit_neighbours(history, 3, config)
    rated = np.array([[5, 1, 0], [4, 0, 2], [3, 3, 3]]) / 5
    inverse = np.linalg.inv(rated.T @ rated + 0.7 * np.eye(3))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    np.testing.assert_allclose(dense(neighbours), weights, atol=1e-5)
    # The first user gave 5 and 1 stars.
    evidence = neighbours.evidence(history.rows(0, 1), np.array([[2]]))
    np.testing.assert_allclose(evidence, [[5 * weights[0, 2] + 1 * weights[1, 2]]], rtol=1e-4)


def test_only_the_largest_weights_are_kept_whatever_their_sign():
    config = NeighboursConfig(piece_length=None, regularization=0.7, kept=2)
    weights = ease_by_regression(HISTORIES, 5, 0.7)
    for movie, row in enumerate(weights):
        smallest = np.argsort(np.abs(row))[:-2]
        weights[movie, smallest] = 0.0
    np.testing.assert_allclose(dense(fit_neighbours(history_of(*HISTORIES), 5, config)), weights, atol=1e-5)


def test_where_memory_is_short_the_rarest_movies_have_no_neighbours():
    # 3 x 3 weights of 4 bytes: for movies 0 and 1, rated 4 times, and the first of those rated 3 times.
    config = NeighboursConfig(piece_length=None, regularization=0.7, memory_gb=37e-9)
    neighbours = fit_neighbours(history_of(*HISTORIES), 6, config)
    assert neighbours.movies.tolist() == [0, 1, 2]
    assert neighbours.neighbours.shape == (3, 3)
    fewer = [[movie for movie in row if movie < 3] for row in HISTORIES]
    np.testing.assert_allclose(dense(neighbours)[:3, :3], ease_by_regression(fewer, 3, 0.7), atol=1e-5)
    assert not dense(neighbours)[:, 3:].any()


def test_saved_files_give_the_same_neighbours_and_damaged_ones_are_named(tmp_path):
    neighbours = fit_neighbours(history_of(*HISTORIES), 5, NeighboursConfig(by_rating=True))
    neighbours.save(tmp_path / "neighbours")
    loaded = Neighbours.load(tmp_path / "neighbours")
    np.testing.assert_array_equal(dense(loaded), dense(neighbours))
    assert loaded.by_rating
    history, candidates = history_of(*HISTORIES), np.array([[0, 1, 4]] * len(HISTORIES))
    np.testing.assert_array_equal(
        loaded.evidence(history, candidates), neighbours.evidence(history, candidates)
    )
    weight = tmp_path / "neighbours" / "weight.npy"
    for content in (weight.read_bytes()[:-4], b""):
        weight.write_bytes(content)
        with pytest.raises(DataError, match=r"neighbours holds no neighbours .* run the Trainer step again"):
            Neighbours.load(tmp_path / "neighbours")
