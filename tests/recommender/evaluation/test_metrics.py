"""Metrics against numbers worked out by hand, and the vectorised ones against the plain ones."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.evaluation.metrics import (
    coverage,
    graded_ndcg,
    graded_ndcg_at_k,
    hit_rate_at_k,
    map_at_k,
    map_of_all_at_k,
    mrr_at_k,
    ndcg_at_k,
    overlap,
    per_user_metrics,
    precision_at_k,
    recall_at_k,
)

# Ranks 1 and 3 hit; three movies are relevant.
RECOMMENDED = [10, 20, 30, 40, 50]
RELEVANT = {10, 30, 99}

PLAIN = {
    "recall": recall_at_k,
    "precision": precision_at_k,
    "ndcg": ndcg_at_k,
    "hit_rate": hit_rate_at_k,
    "map": map_at_k,
    "map_of_all": map_of_all_at_k,
    "mrr": mrr_at_k,
}


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


def test_map_of_all_divides_by_all_that_is_relevant():
    # Of three relevant movies, one is found within two places: no list of two could hold all three.
    assert map_of_all_at_k(RECOMMENDED, RELEVANT, 2) == pytest.approx((1 / 1) / 3)
    assert map_of_all_at_k(RECOMMENDED, RELEVANT, 5) == pytest.approx((1 / 1 + 2 / 3) / 3)


def test_graded_ndcg_takes_ratings_for_gains():
    ratings = {10: 3.0, 30: 5.0, 99: 4.0}
    gain = 3 / math.log2(2) + 5 / math.log2(4)
    ideal = 5 / math.log2(2) + 4 / math.log2(3) + 3 / math.log2(4)
    assert graded_ndcg_at_k(RECOMMENDED, ratings, 5) == pytest.approx(gain / ideal)
    # With K = 1 the best that one place can gain is the best rating.
    assert graded_ndcg_at_k(RECOMMENDED, ratings, 1) == pytest.approx(3 / 5)


def test_graded_ndcg_of_equal_ratings_is_the_binary_one():
    equal = dict.fromkeys(RELEVANT, 4.0)
    assert graded_ndcg_at_k(RECOMMENDED, equal, 5) == pytest.approx(ndcg_at_k(RECOMMENDED, RELEVANT, 5))


def test_a_negative_rating_gains_nothing():
    assert graded_ndcg_at_k([1, 2], {1: -1.0, 2: 2.0}, 2) == pytest.approx((2 / math.log2(3)) / 2)
    assert graded_ndcg_at_k([1, 2], {1: -1.0}, 2) == 0.0


def test_hit_rate_asks_for_one_hit():
    assert hit_rate_at_k(RECOMMENDED, RELEVANT, 1) == 1.0
    assert hit_rate_at_k(RECOMMENDED, {50}, 4) == 0.0


def test_coverage_counts_distinct_movies():
    assert coverage([[1, 2], [2, 3], [1, 2]], n_movies=10) == 3 / 10


@pytest.mark.parametrize("metric", PLAIN.values(), ids=PLAIN)
def test_nothing_relevant_scores_nothing(metric):
    assert metric(RECOMMENDED, set(), 5) == 0.0


@pytest.mark.parametrize("metric", PLAIN.values(), ids=PLAIN)
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
    assert many.keys() == PLAIN.keys()
    for name, metric in PLAIN.items():
        one_by_one = [metric(movies, wanted, k) for movies, wanted in zip(lists, relevant, strict=True)]
        np.testing.assert_allclose(many[name], one_by_one, err_msg=name)


@given(users(), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_vectorised_graded_ndcg_equals_the_plain_one(case, random):
    lists, relevant, k = case
    ratings = [{movie: random.randint(1, 10) / 2 for movie in wanted} for wanted in relevant]
    places = len(lists[0])
    gains = np.array(
        [[of.get(movie, 0.0) for movie in movies] for movies, of in zip(lists, ratings, strict=True)]
    )
    ideal = np.zeros((len(lists), places))
    for row, of in zip(ideal, ratings, strict=True):
        row[: len(of)] = sorted(of.values(), reverse=True)
    one_by_one = [graded_ndcg_at_k(movies, of, k) for movies, of in zip(lists, ratings, strict=True)]
    np.testing.assert_allclose(graded_ndcg(gains, ideal, k), one_by_one)


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
