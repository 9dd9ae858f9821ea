"""Comparing with a model of which it is known what each user got."""

import numpy as np
import pytest

from recommender.evaluation.per_user import PER_USER_FILE, paired_differences, write_per_user

USERS = np.arange(10, 210)
RNG = np.random.default_rng(5)
VALUES = {"ndcg@10": RNG.random(200), "recall@10": RNG.random(200)}


def test_a_model_has_no_difference_from_itself(tmp_path):
    write_per_user(USERS, VALUES, tmp_path)
    assert paired_differences(USERS, VALUES, tmp_path, seed=3) == {
        "ndcg@10": (0.0, 0.0),
        "recall@10": (0.0, 0.0),
    }


def test_the_interval_is_that_of_the_same_users_drawn_for_both(tmp_path):
    write_per_user(USERS, VALUES, tmp_path)
    better = VALUES["ndcg@10"] + 0.02 + 0.01 * RNG.standard_normal(200)
    low, high = paired_differences(USERS, {"ndcg@10": better}, tmp_path, seed=3)["ndcg@10"]
    generator = np.random.default_rng(3)
    difference = better - VALUES["ndcg@10"]
    drawn = [difference[generator.integers(0, 200, 200)].mean() for _ in range(1000)]
    assert (low, high) == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])), abs=1e-6)
    # Far narrower than what the spread of users alone would allow.
    assert high - low < 0.1 * 2 * 1.96 * VALUES["ndcg@10"].std() / np.sqrt(200)


@pytest.mark.parametrize("others", [np.arange(11, 211), np.arange(10, 209)])
def test_other_users_are_not_compared(others, tmp_path):
    write_per_user(others, {"ndcg@10": np.zeros(len(others))}, tmp_path)
    assert paired_differences(USERS, VALUES, tmp_path, seed=3) is None


def test_where_nothing_was_kept_or_it_cannot_be_read_there_is_no_pair(tmp_path):
    assert paired_differences(USERS, VALUES, tmp_path, seed=3) is None
    (tmp_path / PER_USER_FILE).write_bytes(b"PAR1 and then nothing")
    assert paired_differences(USERS, VALUES, tmp_path, seed=3) is None
