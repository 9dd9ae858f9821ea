"""Sharing users among workers."""

from itertools import pairwise

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from recommender.errors import TrainingError
from recommender.features.shard import Shard


def shares(weights, count):
    return [Shard(index, count).share(np.array(weights, np.int64)) for index in range(count)]


def test_shares_are_neighbouring_users_with_about_equally_many_ratings():
    # 12 ratings for 3 workers: a user goes to the worker in whose third the first of its ratings is.
    first, second, third = shares([4, 0, 3, 1, 2, 2], count=3)
    assert (first.start, first.stop) == (0, 1)
    assert (second.start, second.stop) == (1, 4)
    assert (third.start, third.stop) == (4, 6)
    assert first.smallest == second.smallest == third.smallest == 4


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.integers(1, 5))
def test_every_rating_goes_to_exactly_one_worker(weights, count):
    try:
        parts = shares(weights, count)
    except TrainingError:
        # Some worker starts no user: only where one user may have more than a worker's part.
        assert sum(weights) < count * max(1, *weights)
        return
    sums = [sum(weights[part.start : part.stop]) for part in parts]
    assert all(before.stop == after.start for before, after in pairwise(parts))
    assert sum(sums) == sum(weights)
    assert {part.smallest for part in parts} == {min(sums)}
    assert max(sums) - min(sums) < 2 * max(weights)


def test_every_worker_takes_as_many_steps_as_the_smallest_share_gives():
    (share,) = shares([7], count=1)
    assert share.batches(3) == (3, 2)
    assert share.batches(3, drop_remainder=False) == (3, 3)
    assert share.batches(100) == (7, 1)


def test_fewer_users_than_workers_is_an_error_that_says_what_to_do():
    with pytest.raises(TrainingError, match=r"1 users .* 2 workers .*fewer workers"):
        shares([0, 5], count=2)


def test_a_worker_knows_its_place_from_tf_distribute():
    context = tf.distribute.InputContext(num_input_pipelines=3, input_pipeline_id=2)
    assert Shard.of(context) == Shard(2, 3)
    with pytest.raises(ValueError, match="shard 3 of 3"):
        Shard(3, 3)
