"""Steps of the optimizer, by hand."""

import math

import numpy as np
import pytest
import tensorflow as tf

from recommender.training.configuration import RetrievalTrainingConfig
from recommender.training.optimizer import WarmUpThen, make_optimizer


def rates(schedule, steps):
    return [float(schedule(tf.constant(step))) for step in range(steps)]


def test_the_rate_rises_in_equal_steps_then_falls_along_half_a_cosine():
    schedule = WarmUpThen(highest=0.8, steps=8, warmup_steps=4, cosine=True)
    # 0.4 * (1 + cos(pi * k / 4)) for k = 0, 1, 2, 3
    falling = [0.8, 0.4 * (1 + math.sqrt(0.5)), 0.4, 0.4 * (1 - math.sqrt(0.5))]
    assert rates(schedule, 8) == pytest.approx([0.2, 0.4, 0.6, 0.8, *falling], abs=1e-6)
    assert float(schedule(tf.constant(100))) == pytest.approx(0.0, abs=1e-6)


def test_without_a_cosine_the_rate_stays_after_the_warm_up():
    schedule = WarmUpThen(highest=0.8, steps=8, warmup_steps=2, cosine=False)
    assert rates(schedule, 5) == pytest.approx([0.4, 0.8, 0.8, 0.8, 0.8])


def test_weight_decay_is_decoupled_from_the_gradient():
    # Adam moves by the learning rate in its first step, whatever the gradient; decay takes off 0.1 x 0.5 x 2.
    weight = tf.Variable([2.0])
    config = RetrievalTrainingConfig(learning_rate=0.1, weight_decay=0.5)
    make_optimizer(config, steps_per_epoch=10).apply_gradients([(tf.constant([0.3]), weight)])
    assert float(weight[0]) == pytest.approx(2.0 - 0.1 * 0.5 * 2.0 - 0.1, abs=1e-5)


@pytest.mark.parametrize(("replicas", "seen"), [(1, 1.0), (4, 4.0)])
def test_gradients_are_clipped_by_their_norm_over_all_variables(replicas, seen):
    one, other = tf.Variable([0.0]), tf.Variable([0.0])
    optimizer = make_optimizer(RetrievalTrainingConfig(), steps_per_epoch=10, replicas=replicas)
    optimizer.apply_gradients([(tf.constant([30.0]), one), (tf.constant([40.0]), other)])
    # The first moment after one step is a tenth of the clipped gradient, (30, 40) / 50.
    moments = [float(v[0]) for v in optimizer.variables if "/m/" in v.name]
    np.testing.assert_allclose(moments, [0.06 * seen, 0.08 * seen], rtol=1e-5)
