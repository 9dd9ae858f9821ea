"""The two rounds find what sorting everything finds."""

import numpy as np
import pytest

from recommender.evaluation.best_of_catalogue import GROUP, best_of_catalogue


@pytest.mark.parametrize("n_movies", [7, 2 * 5 * GROUP, 12 * GROUP + 1, 20 * GROUP, 20 * GROUP - 3])
@pytest.mark.parametrize("distinct", [3, 50, 10_000])
def test_the_best_are_those_of_a_stable_sort(n_movies, distinct):
    # Few distinct scores make ties within groups, between groups and at the cut.
    scores = np.random.default_rng(n_movies).integers(0, distinct, (25, n_movies)).astype(np.float32)
    best, best_scores = best_of_catalogue(scores, 5)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :5]
    np.testing.assert_array_equal(best, expected)
    np.testing.assert_array_equal(best_scores, np.take_along_axis(scores, expected, axis=1))


def test_where_fewer_are_left_the_rest_is_minus_infinity():
    n_movies = 30 * GROUP - 5
    scores = np.full((1, n_movies), -np.inf, np.float32)
    scores[0, [n_movies - 1, 3]] = [2.0, 1.0]
    best, best_scores = best_of_catalogue(scores, 4)
    assert best[0, :2].tolist() == [n_movies - 1, 3]
    assert best_scores[0].tolist() == [2.0, 1.0, -np.inf, -np.inf]
    assert best.max() < n_movies
