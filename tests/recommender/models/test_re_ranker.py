"""The re-ranker: its loss, what it starts from, and empty places."""

import math

import numpy as np
import pytest
import tensorflow as tf

from recommender.models.re_ranker import ListwiseSoftmax, ReRanker
from recommender.models.re_ranker_configuration import ReRankerConfig

EMPTY = -math.inf
LISTS = {
    "retrieval_score": np.array([[1.0, 3.0, 2.0], [4.0, 2.0, EMPTY]], np.float32),
    "evidence_0": np.array([[9.0, 0.0, 0.0], [0.0, 1.0, 77.0]], np.float32),
    "popularity": np.array([[5.0, 6.0, 7.0], [8.0, 9.0, 7.0]], np.float32),
    "history_length": np.array([[3.0], [50.0]], np.float32),
}
FEATURES = ("retrieval_score", "evidence_0", "popularity")


def re_ranker(**fields):
    tf.keras.utils.set_random_seed(1)
    return ReRanker(ReRankerConfig(**fields), FEATURES, {"retrieval_score": 0.75, "evidence_0": 0.25})


def test_the_loss_is_the_mean_share_that_relevant_movies_lack():
    scores = tf.constant([[math.log(1.0), math.log(3.0), math.log(4.0)], [math.log(2.0), EMPTY, 0.0]])
    relevant = tf.constant([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    # Shares 1/8, 3/8 and 4/8; nobody is relevant in the second list.
    expected = -(math.log(1 / 8) + math.log(4 / 8)) / 2
    np.testing.assert_allclose(ListwiseSoftmax().call(relevant, scores), [expected, 0.0], rtol=1e-6)
    assert float(ListwiseSoftmax()(relevant, scores)) == pytest.approx(expected / 2)


def test_before_training_the_order_is_that_of_the_weighted_sum_of_standardized_scores():
    scores = re_ranker(hidden=4)(LISTS).numpy()
    by_retrieval = (np.array([1.0, 3.0, 2.0]) - 2.0) / math.sqrt(2 / 3)
    by_evidence = (np.array([9.0, 0.0, 0.0]) - 3.0) / math.sqrt(18.0)
    np.testing.assert_allclose(scores[0], 0.75 * by_retrieval + 0.25 * by_evidence, rtol=1e-5)
    # Two places are filled: both features are 1 and -1 there, the other way round.
    np.testing.assert_allclose(scores[1], [0.75 - 0.25, 0.25 - 0.75, EMPTY], atol=1e-6)


def test_an_empty_place_changes_nothing_for_the_others():
    model = re_ranker(hidden=4)
    model(LISTS)
    generator = np.random.default_rng(2)
    model.set_weights([generator.normal(size=weight.shape) for weight in model.get_weights()])
    without = {
        name: values[1:, :2] if name != "history_length" else values[1:] for name, values in LISTS.items()
    }
    np.testing.assert_allclose(model(LISTS).numpy()[1, :2], model(without).numpy()[0], rtol=1e-5)
    with tf.GradientTape() as tape:
        loss = model.compute_loss({**LISTS, "relevant": np.array([[0, 1, 0], [1, 0, 0]], np.float32)})
    gradients = tape.gradient(loss, model.trainable_variables)
    assert all(np.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize("hidden", [0, 4])
def test_a_weight_is_the_change_of_the_score_with_the_feature(hidden):
    model = re_ranker(hidden=hidden)
    model(LISTS)
    generator = np.random.default_rng(3)
    model.set_weights([generator.normal(size=weight.shape) for weight in model.get_weights()])
    weights = model.weights_of_features(LISTS).numpy()
    explained = np.zeros((2, 3))
    for number, name in enumerate(FEATURES):
        for user, places in ((0, [0, 1, 2]), (1, [0, 1])):
            values = LISTS[name][user, places]
            explained[user, places] += weights[user, places, number] * (values - values.mean())
    rest = (model(LISTS).numpy() - explained)[LISTS["retrieval_score"] > EMPTY]
    if not hidden:
        np.testing.assert_allclose(rest, 0, atol=1e-5)
        return
    # What is left is the network's own: the biases and the history's length through the active units.
    kernel, bias, out = [weight.numpy() for layer in model._layers for weight in layer.weights]
    lengths = np.log(1 + LISTS["history_length"]) - 4.0
    expected = []
    for user, places in ((0, [0, 1, 2]), (1, [0, 1])):
        values = np.stack([LISTS[name][user, places] for name in FEATURES], axis=-1)
        z = (values - values.mean(axis=0)) / values.std(axis=0)
        own = lengths[user] * kernel[-1] + bias
        expected += [((z_of @ kernel[:-1] + own > 0) * own) @ out[:, 0] for z_of in z]
    np.testing.assert_allclose(rest, expected, rtol=1e-4, atol=1e-4)
