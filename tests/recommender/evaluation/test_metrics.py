"""Metrics against numbers worked out by hand, and the vectorised ones against the plain ones."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.evaluation.metrics import (
    bootstrap_intervals,
    coverage,
    hit_rate_at_k,
    map_at_k,
    ndcg_at_k,
    overlap,
    per_user_metrics,
    precision_at_k,
    recall_at_k,
)

# Ranks 1 and 3 hit; three movies are relevant.
RECOMMENDED = [10, 20, 30, 40, 50]
RELEVANT = {10, 30, 99}


def test_recall_is_hits_over_relevant():
    assert recall_at_k(RECOMMENDED, RELEVANT, 5) == 2 / 3
    assert recall_at_k(RECOMMENDED, RELEVANT, 2) == 1 / 3


def test_precision_divides_by_k_even_when_fewer_were_recommended():
    assert precision_at_k(RECOMMENDED, RELEVANT, 5) == 2 / 5
    assert precision_at_k([10], RELEVANT, 5) == 1 / 5


def test_ndcg_discounts_by_rank_and_divides_by_the_ideal_list():
    gain = 1 / math.log2(2) + 1 / math.log2(4)
    ideal = 1 / math.log2(2) + 1 / math.log2(3) + 1 / math.log2(4)
    assert ndcg_at_k(RECOMMENDED, RELEVANT, 5) == pytest.approx(gain / ideal)
    # With K = 1 the ideal list has one place, and it is taken.
    assert ndcg_at_k(RECOMMENDED, RELEVANT, 1) == 1.0


def test_map_averages_the_precision_at_each_hit_over_min_of_k_and_relevant():
    assert map_at_k(RECOMMENDED, RELEVANT, 5) == pytest.approx((1 / 1 + 2 / 3) / 3)
    assert map_at_k(RECOMMENDED, RELEVANT, 2) == pytest.approx((1 / 1) / 2)


def test_hit_rate_asks_for_one_hit():
    assert hit_rate_at_k(RECOMMENDED, RELEVANT, 1) == 1.0
    assert hit_rate_at_k(RECOMMENDED, {50}, 4) == 0.0


def test_coverage_counts_distinct_movies():
    assert coverage([[1, 2], [2, 3], [1, 2]], n_movies=10) == 3 / 10


@pytest.mark.parametrize("metric", [recall_at_k, precision_at_k, ndcg_at_k, hit_rate_at_k, map_at_k])
def test_nothing_relevant_scores_nothing(metric):
    assert metric(RECOMMENDED, set(), 5) == 0.0


@pytest.mark.parametrize("metric", [recall_at_k, precision_at_k, ndcg_at_k, hit_rate_at_k, map_at_k])
def test_k_below_one_is_refused(metric):
    with pytest.raises(ValueError, match="k is 0"):
        metric(RECOMMENDED, RELEVANT, 0)


@st.composite
def users(draw):
    n_movies = draw(st.integers(3, 12))
    lists = draw(st.lists(st.permutations(range(n_movies)), min_size=1, max_size=6))
    relevant = [draw(st.sets(st.integers(0, n_movies - 1), min_size=1)) for _ in lists]
    k = draw(st.integers(1, n_movies))
    return lists, relevant, k


@given(users())
@settings(max_examples=100, deadline=None)
def test_vectorised_metrics_equal_the_plain_ones(case):
    lists, relevant, k = case
    hits = np.array(
        [[movie in wanted for movie in movies] for movies, wanted in zip(lists, relevant, strict=True)]
    )
    many = per_user_metrics(hits, np.array([len(wanted) for wanted in relevant]), k)
    plain = {
        "recall": recall_at_k,
        "precision": precision_at_k,
        "ndcg": ndcg_at_k,
        "hit_rate": hit_rate_at_k,
        "map": map_at_k,
    }
    for name, metric in plain.items():
        one_by_one = [metric(movies, wanted, k) for movies, wanted in zip(lists, relevant, strict=True)]
        np.testing.assert_allclose(many[name], one_by_one, err_msg=name)


def test_mrr_is_one_over_the_rank_of_the_first_hit():
    hits = np.array([[False, True, True], [False, False, False]])
    np.testing.assert_array_equal(per_user_metrics(hits, np.array([2, 1]), 3)["mrr"], [1 / 2, 0.0])


def test_overlap_is_the_mean_share_over_all_pairs():
    # Pairs share 1, 0 and 1 of 2 places.
    lists = np.array([[0, 1], [1, 2], [3, 0]])
    assert overlap(lists, n_movies=4) == pytest.approx((1 / 2 + 0 + 1 / 2) / 3)
    assert overlap(np.array([[0, 1], [0, 1]]), n_movies=4) == 1.0


def test_empty_places_are_not_shared():
    assert overlap(np.array([[0, -1], [1, -1]]), n_movies=4) == 0.0


def test_bootstrap_interval_matches_the_normal_one_of_many_users():
    values = np.random.default_rng(1).normal(0.4, 0.2, (4000, 1))
    low, high = bootstrap_intervals(values, seed=0)[:, 0]
    half = 1.96 * values.std() / math.sqrt(4000)
    assert low == pytest.approx(values.mean() - half, abs=5e-4)
    assert high == pytest.approx(values.mean() + half, abs=5e-4)
