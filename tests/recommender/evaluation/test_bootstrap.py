"""Resampling of users: intervals, and what makes a comparison a paired one."""

import math

import numpy as np
import pytest

from recommender.evaluation.bootstrap import bootstrap_means, percentile_interval


def test_the_interval_matches_the_normal_one_of_many_users():
    values = np.random.default_rng(1).normal(0.4, 0.2, (4000, 1))
    low, high = percentile_interval(bootstrap_means(values, seed=0))[:, 0]
    half = 1.96 * values.std() / math.sqrt(4000)
    assert low == pytest.approx(values.mean() - half, abs=5e-4)
    assert high == pytest.approx(values.mean() + half, abs=5e-4)


def test_one_seed_draws_the_same_users_whatever_the_columns(monkeypatch):
    values = np.random.default_rng(2).random((50, 3))
    together = bootstrap_means(values, seed=4, n_samples=30)
    # Seven samples at a time.
    monkeypatch.setattr("recommender.evaluation.bootstrap._BLOCK_ELEMENTS", 7 * 50)
    for column in range(3):
        alone = bootstrap_means(values[:, [column]], seed=4, n_samples=30)
        np.testing.assert_allclose(alone[:, 0], together[:, column])
    # The mean of a difference is the difference of the means, sample by sample.
    differences = bootstrap_means(values[:, [0]] - values[:, [1]], seed=4, n_samples=30)
    np.testing.assert_allclose(differences[:, 0], together[:, 0] - together[:, 1])


def test_each_sample_is_the_mean_of_the_users_drawn():
    values = np.random.default_rng(3).random((20, 1))
    generator = np.random.default_rng(9)
    expected = [values[generator.integers(0, 20, 20), 0].mean() for _ in range(5)]
    np.testing.assert_allclose(bootstrap_means(values, seed=9, n_samples=5)[:, 0], expected)


def test_users_that_do_not_count_do_not_move_the_mean():
    values = np.random.default_rng(5).random((40, 1))
    values[::2] = np.nan
    generator = np.random.default_rng(6)
    expected = [np.nanmean(values[generator.integers(0, 40, 40), 0]) for _ in range(5)]
    np.testing.assert_allclose(bootstrap_means(values, seed=6, n_samples=5)[:, 0], expected)
