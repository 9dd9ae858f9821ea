"""The squared error of ratings against numbers worked out by hand."""

import pytest
import tensorflow as tf
import tensorflow_recommenders as tfrs

from recommender.models.losses.rating_error import RatingError


def test_it_is_a_tfrs_task():
    assert isinstance(RatingError(), tfrs.tasks.Task)


def test_loss_is_the_mean_squared_error():
    loss = RatingError()(tf.constant([4.0, 1.0, 4.0]), tf.constant([5.0, 0.5, 4.1]))
    assert float(loss) == pytest.approx(((5 - 4) ** 2 + (0.5 - 1) ** 2 + (4.1 - 4) ** 2) / 3, rel=1e-5)
