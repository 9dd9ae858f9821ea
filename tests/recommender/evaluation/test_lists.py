"""What lists are like, against numbers worked out by hand."""

import math

import numpy as np
import pytest

from recommender.evaluation.lists import (
    diversity,
    genre_shares,
    miscalibration,
    novelty,
    popularity_lift,
    taste,
)
from recommender.features.transformed_examples import History

# Three genres: the first movie has the first, the second the first two, the third the last, the fourth none.
GENRES = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0]], np.float32)


def history(*users):
    lengths = [len(movies) for movies in users]
    return History(
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.array([movie for movies in users for movie in movies], np.int32),
        np.full(sum(lengths), 4.0, np.float32),
    )


def test_novelty_is_one_bit_more_each_time_half_as_many_know_the_movie():
    popularity = np.array([8, 4, 1, 0])
    lists = np.array([[0, 1], [1, 2], [2, 3], [1, -1]])
    # log2(8 / 8), log2(8 / 4), log2(8 / 1); nobody counts as one.
    np.testing.assert_allclose(
        novelty(lists, popularity, n_users=8), [(0 + 1) / 2, (1 + 3) / 2, (3 + 3) / 2, 1.0]
    )


def test_popularity_lift_compares_lists_with_histories():
    popularity = np.array([10, 6, 2, 1])
    histories = history([2, 3], [1])
    lists = np.array([[0, 1], [0, 2]])
    listed = ((10 + 6) / 2 + (10 + 2) / 2) / 2
    rated = ((2 + 1) / 2 + 6) / 2
    assert popularity_lift(lists, histories, popularity) == pytest.approx(listed / rated)


def test_users_without_a_history_have_no_popularity_lift():
    popularity = np.array([10, 6, 2, 1])
    assert popularity_lift(np.array([[0], [1]]), history([], [2]), popularity) == pytest.approx(6 / 2)
    assert popularity_lift(np.array([[0]]), history([]), popularity) == 0.0


def test_diversity_is_one_minus_the_mean_cosine_of_the_pairs():
    # cos(0, 1) = 1 / sqrt(2); the third is like none of them, nor is one without a genre.
    pair = 1 / math.sqrt(2)
    lists = np.array([[0, 1, 2], [0, 0, 0], [0, 2, -1], [0, -1, -1], [1, 3, -1]])
    np.testing.assert_allclose(
        diversity(lists, GENRES), [1 - (pair + 0 + 0) / 3, 0.0, 1.0, 0.0, 1.0], atol=1e-12
    )


def test_miscalibration_is_the_divergence_from_the_genres_of_the_history():
    shares = genre_shares(GENRES)
    # One half Comedy, say, and a quarter of each other: (1 + 1/2 + 0) / 3, (1/2) / 3, 1 / 3.
    tastes = taste(history([0, 1, 2]), shares)
    np.testing.assert_allclose(tastes, [[1.5 / 3, 0.5 / 3, 1 / 3]])
    listed = [0.99 * 0.75 + 0.01 * 1.5 / 3, 0.99 * 0.25 + 0.01 * 0.5 / 3, 0.01 / 3]
    expected = sum(p * math.log(p / q) for p, q in zip(tastes[0], listed, strict=True))
    assert miscalibration(np.array([[0, 1]]), tastes, shares)[0] == pytest.approx(expected)
    # Every genre in proportion.
    assert miscalibration(np.array([[2, 1, 0]]), tastes, shares)[0] == pytest.approx(0.0)


def test_without_a_history_nothing_is_miscalibrated():
    shares = genre_shares(GENRES)
    assert miscalibration(np.array([[0, 1]]), taste(history([]), shares), shares).tolist() == [0.0]
