"""Looking movies up in histories."""

import tensorflow as tf

from recommender.models.losses.rated import rated


def test_every_user_is_asked_about_every_movie():
    history = tf.ragged.constant([[4, 1], [], [3, 3, 0]], dtype=tf.int32, row_splits_dtype=tf.int64)
    found = rated(tf.constant([0, 4, 4]), history, tf.constant([1, 3, 1, 2]), n_movies=5)
    assert found.numpy().tolist() == [
        [True, False, True, False],
        [False, False, False, False],
        [False, True, False, False],
    ]


def test_an_unknown_movie_in_a_history_is_no_other_movie():
    history = tf.ragged.constant([[-1], [-1, 4]], dtype=tf.int32)
    found = rated(tf.constant([2, 2]), history, tf.constant([0, 4]), n_movies=5)
    assert found.numpy().tolist() == [[False, False], [False, True]]


def test_the_movie_of_the_rating_itself_is_rated_too():
    history = tf.ragged.constant([[4], []], dtype=tf.int32, row_splits_dtype=tf.int64)
    found = rated(tf.constant([0, 3]), history, tf.constant([0, 3, 4]), n_movies=5)
    assert found.numpy().tolist() == [[True, False, True], [False, True, False]]
