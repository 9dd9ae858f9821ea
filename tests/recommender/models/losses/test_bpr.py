"""BPR against numbers worked out by hand."""

import math

import pytest
import tensorflow as tf
import tensorflow_recommenders as tfrs

from recommender.models.losses.bpr import Bpr

USERS = tf.constant([[1.0, 0.0], [0.0, 1.0]])
# Rated by user 0, rated by user 1, and two that were drawn.
MOVIES = tf.constant([[0.6, 0.8], [1.0, 0.0], [0.0, 1.0], [0.8, 0.6]])


def loss(movie_index, history):
    task = Bpr(temperature=0.5, n_movies=8)
    return float(
        task(USERS, MOVIES, tf.constant(movie_index), tf.ragged.constant(history, tf.int32, ragged_rank=1))
    )


def minus_log_sigmoid(difference):
    return math.log(1 + math.exp(-difference))


def test_it_is_a_tfrs_task():
    assert isinstance(Bpr(1.0, 8), tfrs.tasks.Task)


def test_each_rated_movie_is_compared_with_each_that_was_drawn():
    # User 0: 0.6 against 0 and 0.8. User 1: 0 against 1 and 0.6. At temperature 0.5 differences double.
    pairs = [2 * (0.6 - 0.0), 2 * (0.6 - 0.8), 2 * (0.0 - 1.0), 2 * (0.0 - 0.6)]
    expected = sum(minus_log_sigmoid(pair) for pair in pairs) / 4
    assert loss([4, 5, 6, 7], [[], []]) == pytest.approx(expected, abs=1e-6)


def test_what_a_user_has_rated_is_not_compared():
    # Drawn are movies 5 and 7. User 0 rated 7 besides; 5 is what user 1 rated just now.
    pairs = [2 * (0.6 - 0.0), 2 * (0.0 - 0.6)]
    expected = sum(minus_log_sigmoid(pair) for pair in pairs) / 2
    assert loss([4, 5, 5, 7], [[7], []]) == pytest.approx(expected, abs=1e-6)


def test_nothing_to_compare_with_is_no_loss():
    assert loss([4, 5, 4, 5], [[5], [4]]) == 0.0
