"""Vectors made as long as most, with the same dot products."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from recommender.retrieval.equal_lengths import of_equal_length, searched_for


def test_short_vectors_become_as_long_as_most_and_the_longest_stay() -> None:
    vectors = np.zeros((1000, 2), np.float32)
    vectors[:, 0] = 3.0
    vectors[:100] = [0.0, 1.0]
    vectors[-1] = [0.0, 50.0]
    longer = of_equal_length(vectors)
    np.testing.assert_allclose(np.linalg.norm(longer[:-1], axis=1), 3.0, rtol=1e-6)
    np.testing.assert_allclose(longer[0], [0.0, 1.0, np.sqrt(9 - 1)], rtol=1e-6)
    assert longer[-1].tolist() == [0.0, 50.0, 0.0]


@given(arrays.arrays(np.float32, (7, 3), elements=st.floats(-9, 9, width=32)))
def test_no_dot_product_changes(vectors: np.ndarray) -> None:
    longer = of_equal_length(vectors)
    assert longer.shape == (7, 4)
    for vector in vectors:
        np.testing.assert_allclose(longer @ np.float32(searched_for(vector)), vectors @ vector, atol=1e-4)


def test_no_vectors_are_no_vectors() -> None:
    assert of_equal_length(np.empty((0, 3), np.float32)).shape == (0, 4)
