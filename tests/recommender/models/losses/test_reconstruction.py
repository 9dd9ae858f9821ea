"""The normalised reconstruction against numbers worked out by hand and against its definition."""

import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_recommenders as tfrs

from recommender.models.losses.reconstruction import Reconstruction


def test_it_is_a_tfrs_task():
    assert isinstance(Reconstruction(), tfrs.tasks.Task)


def test_loss_is_the_squared_distance_of_scores_and_ratings_brought_to_length_one():
    users = tf.constant([[1.0, 0.0], [0.0, 2.0]])
    movies = tf.constant([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    positives = tf.ragged.constant([[0, 2], [1]], tf.int32)
    ratings = tf.ragged.constant([[3.0, 4.0], [5.0]])
    # User 0 scores (1, 0, 0.6), of length sqrt(1.36), and rated (3, 0, 4), of length 5.
    length = math.sqrt(1.36)
    user_0 = (1 / length - 3 / 5) ** 2 + 0 + (0.6 / length - 4 / 5) ** 2
    # User 1 scores (0, 2, 1.6), of length sqrt(6.56), and rated (0, 5, 0).
    user_1 = 0 + (2 / math.sqrt(6.56) - 1) ** 2 + (1.6 / math.sqrt(6.56)) ** 2
    loss = Reconstruction()(users, movies, positives, ratings)
    assert float(loss) == pytest.approx((user_0 + user_1) / 2, abs=1e-6)


def test_loss_and_gradients_are_those_of_the_scores_written_out():
    random = np.random.default_rng(0)
    users, movies = (tf.Variable(random.normal(size=(n, 5)), dtype=tf.float32) for n in (4, 30))
    lists = [random.choice(30, size=n, replace=False).tolist() for n in (1, 7, 30, 2)]
    positives = tf.ragged.constant(lists, tf.int32)
    ratings = tf.ragged.constant([random.uniform(0.5, 5, len(rated)).tolist() for rated in lists])
    rated = np.zeros((4, 30), np.float32)
    rated[positives.value_rowids(), positives.values] = ratings.values
    with tf.GradientTape(persistent=True) as tape:
        loss = Reconstruction()(users, movies, positives, ratings)
        scores = tf.math.l2_normalize(users @ tf.transpose(movies), axis=-1)
        written_out = tf.reduce_mean(
            tf.reduce_sum((scores - tf.math.l2_normalize(rated, axis=-1)) ** 2, axis=-1)
        )
    np.testing.assert_allclose(loss, written_out, rtol=1e-5)
    for variable in (users, movies):
        np.testing.assert_allclose(
            tape.gradient(loss, variable), tape.gradient(written_out, variable), atol=1e-6
        )


def test_a_user_of_whom_nothing_is_known_costs_no_numbers():
    users = tf.Variable(tf.zeros([1, 2]))
    with tf.GradientTape() as tape:
        loss = Reconstruction()(users, tf.eye(2), tf.ragged.constant([[1]]), tf.ragged.constant([[1.0]]))
    assert float(loss) == 2.0
    assert np.isfinite(tape.gradient(loss, users)).all()
