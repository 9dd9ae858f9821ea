"""The sampled softmax against numbers worked out by hand."""

import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_recommenders as tfrs

from recommender.models.losses.sampled_softmax import SampledSoftmax

USERS = tf.constant([[1.0, 0.0], [0.0, 1.0]])
# The catalogue: movie 0 has 6 of 10 ratings, movie 1 has 3, movie 2 has 1, movie 3 none.
MOVIES = tf.constant([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [-1.0, 0.0]])
COUNTS = np.array([6, 3, 1, 0])
NOTHING = tf.ragged.constant([[], []], dtype=tf.int32, ragged_rank=1)


def loss(movie_index, history=NOTHING, users=USERS, temperature=0.5):
    task = SampledSoftmax(temperature, COUNTS)
    return float(task(users, tf.gather(MOVIES, movie_index), tf.constant(movie_index), history))


def test_it_is_a_tfrs_task():
    assert isinstance(SampledSoftmax(1.0, COUNTS), tfrs.tasks.Task)


def test_in_batch_scores_are_divided_by_the_temperature_and_lowered_by_how_often_a_movie_is_rated():
    # User 0 rated movie 0, user 1 movie 1. At temperature 0.5 the scores are twice the dot products.
    user_0, user_0_other = math.exp(2) / 0.6, math.exp(0) / 0.3
    user_1, user_1_other = math.exp(2) / 0.3, math.exp(0) / 0.6
    expected = (-math.log(user_0 / (user_0 + user_0_other)) - math.log(user_1 / (user_1 + user_1_other))) / 2
    assert loss([0, 1]) == pytest.approx(expected, abs=1e-5)


def test_movies_drawn_uniformly_are_corrected_by_the_probability_of_the_mixture():
    # 2 movies of the batch, 2 of the catalogue of 4: Q(m) = (2 * n_m / 10 + 2 / 4) / 4.
    q0, q1, q2, q3 = ((2 * n / 10 + 2 / 4) / 4 for n in (6, 3, 1, 0))
    # The dot products of user 0 are 1, 0, 0.6 and -1, of user 1 they are 0, 1, 0.8 and 0.
    all_0 = math.exp(2) / q0 + math.exp(0) / q1 + math.exp(1.2) / q2 + math.exp(-2) / q3
    all_1 = math.exp(0) / q0 + math.exp(2) / q1 + math.exp(1.6) / q2 + math.exp(0) / q3
    expected = (-math.log(math.exp(2) / q0 / all_0) - math.log(math.exp(2) / q1 / all_1)) / 2
    assert loss([0, 1, 2, 3]) == pytest.approx(expected, abs=1e-5)


def test_what_a_user_has_rated_besides_is_no_negative():
    # User 0 has rated movie 1 too, so nothing is left to compare movie 0 with.
    history = tf.ragged.constant([[1], []], dtype=tf.int32, ragged_rank=1)
    user_1, user_1_other = math.exp(2) / 0.3, math.exp(0) / 0.6
    expected = (0 - math.log(user_1 / (user_1 + user_1_other))) / 2
    assert loss([0, 1], history) == pytest.approx(expected, abs=1e-5)


def test_a_movie_that_comes_up_again_does_not_compete_with_itself():
    # Both users rated movie 0, and it was drawn once more: whatever the users are, there is no negative.
    assert loss([0, 0, 0]) == pytest.approx(0.0, abs=1e-6)


def test_a_rare_movie_is_corrected_in_full():
    # One rating in 25 million, beside a movie that has 81,491: TFRS's own correction would stop at 1e-6.
    counts = np.array([81_491, 24_918_508, 1])
    value = SampledSoftmax(1.0, counts)(USERS, tf.zeros([2, 2]), tf.constant([0, 2]), NOTHING)
    # All scores are 0, so what movies weigh is the inverse of how likely they are, 81,491 to 1.
    popular, rare = 1 / 81_491, 1 / 1
    expected = (-math.log(popular / (popular + rare)) - math.log(rare / (popular + rare))) / 2
    assert float(value) == pytest.approx(expected, rel=1e-5)
