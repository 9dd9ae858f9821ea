"""How far predicted ratings are off, worked out by hand."""

import numpy as np
import pytest

from recommender.evaluation.rating_quality import rating_errors, reliability


def test_errors_are_the_root_mean_square_and_the_mean_absolute_one():
    predicted, actual = np.array([3.0, 4.0, 5.0], np.float32), np.array([4.0, 4.0, 3.0], np.float32)
    errors = rating_errors(predicted, actual)
    assert errors["rmse"] == pytest.approx(((1 + 0 + 4) / 3) ** 0.5)
    assert errors["mae"] == pytest.approx((1 + 0 + 2) / 3)


def test_the_table_has_ten_bins_with_as_many_in_each():
    # Predicted 1.0, 1.1, ..., 2.9; in truth everybody gives the lower half 1 and the upper half 5.
    predicted = (1 + np.arange(20) / 10).astype(np.float32)
    actual = np.repeat([1.0, 5.0], 10).astype(np.float32)
    shuffled = np.random.default_rng(0).permutation(20)
    table = reliability(predicted[shuffled], actual[shuffled])
    assert [one.n_ratings for one in table] == [2] * 10
    assert [one.actual for one in table] == [1.0] * 5 + [5.0] * 5
    assert table[0].predicted == pytest.approx((1.0 + 1.1) / 2)
    assert (table[9].low, table[9].high) == pytest.approx((2.8, 2.9))


def test_equal_predictions_are_one_bin():
    table = reliability(np.full(30, 3.5, np.float32), np.arange(30, dtype=np.float32) % 5)
    assert [(one.n_ratings, one.predicted, one.actual) for one in table] == [(30, 3.5, 2.0)]
