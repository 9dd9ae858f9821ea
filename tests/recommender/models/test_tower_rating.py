"""The rating that two vectors stand for."""

import math

import numpy as np
import pytest
import tensorflow as tf

from recommender.data.rating_scale import RatingScale
from recommender.models.configuration import TwoTowerConfig
from recommender.models.tower_rating import TowerRating

PAIRS = {
    "user_vector": tf.constant([[1.0, 0.0], [0.0, 2.0], [1.0, 0.0]]),
    "movie_vector": tf.constant([[1.0, 0.0], [0.0, -3.0], [0.6, 0.8]]),
}


def test_cosines_are_stretched_to_the_rating_scale():
    # Cosines 1, -1 and 0.6, whatever the vectors' length.
    half_stars = TowerRating(TwoTowerConfig())(PAIRS).numpy()
    assert half_stars.tolist() == pytest.approx([5.0, 0.5, 0.5 + 4.5 * (0.6 + 1) / 2])
    whole_stars = TwoTowerConfig(rating_scale=RatingScale(min=1.0, max=5.0, step=1.0))
    assert TowerRating(whole_stars)(PAIRS).numpy().tolist() == pytest.approx(
        [5.0, 1.0, 1.0 + 4.0 * (0.6 + 1) / 2]
    )


def test_a_network_looks_at_both_vectors_and_their_product():
    tf.keras.utils.set_random_seed(0)
    rating = TowerRating(TwoTowerConfig(rating_hidden=(3,)))
    predicted = rating(PAIRS).numpy()
    hidden, bias, last, last_bias = rating.get_weights()
    for row, (x, y) in enumerate(zip(PAIRS["user_vector"], PAIRS["movie_vector"], strict=True)):
        values = np.maximum(np.concatenate([x, y, x * y]) @ hidden + bias, 0)
        expected = 0.5 + 4.5 / (1 + math.exp(-float((values @ last + last_bias)[0])))
        assert predicted[row] == pytest.approx(expected, rel=1e-5)
