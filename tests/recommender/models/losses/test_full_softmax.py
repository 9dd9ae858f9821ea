"""The full softmax against numbers worked out by hand."""

import math

import pytest
import tensorflow as tf
import tensorflow_recommenders as tfrs

from recommender.models.losses.full_softmax import FullSoftmax

USERS = tf.constant([[1.0, 0.0], [0.0, 1.0]])
MOVIES = tf.constant([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
POSITIVES = tf.ragged.constant([[0, 2], [1]], dtype=tf.int32)


def test_loss_is_the_mean_over_users_of_the_mean_negative_log_softmax_of_their_movies():
    # At temperature 0.5 the scores are twice the dot products: user 0 sees 2, 0, 1.2; user 1 sees 0, 2, 1.6.
    normalizer_0 = math.log(math.exp(2) + math.exp(0) + math.exp(1.2))
    normalizer_1 = math.log(math.exp(0) + math.exp(2) + math.exp(1.6))
    user_0 = ((normalizer_0 - 2) + (normalizer_0 - 1.2)) / 2
    user_1 = normalizer_1 - 2
    loss = FullSoftmax(temperature=0.5)(USERS, MOVIES, POSITIVES)
    assert float(loss) == pytest.approx((user_0 + user_1) / 2, abs=1e-6)


def test_it_is_a_tfrs_task():
    assert isinstance(FullSoftmax(1.0), tfrs.tasks.Task)


def test_gradient_pulls_a_movie_towards_who_watched_it_and_pushes_the_others_away():
    movies = tf.Variable(MOVIES)
    with tf.GradientTape() as tape:
        loss = FullSoftmax(temperature=0.5)(USERS[1:], movies, POSITIVES[1:])
    gradient = tape.gradient(loss, movies).numpy()
    # d loss / d y_m = (softmax_m - [m was watched]) * x_u / T, with x_u = (0, 1).
    weights = [math.exp(0), math.exp(2), math.exp(1.6)]
    for movie, watched in enumerate([0, 1, 0]):
        expected = (weights[movie] / sum(weights) - watched) / 0.5
        assert gradient[movie].tolist() == pytest.approx([0.0, expected], abs=1e-5)
