"""Maximal marginal relevance, beside the formula written out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recommender.retrieval.diversity import most_diverse


def plainly(relevance: list[float], vectors: list[list[float]], limit: int, diversity: float) -> list[int]:
    """The same, a movie at a time, with numbers of double precision."""
    low, high = min(relevance), max(relevance)
    worth = [(value - low) / max(high - low, 1e-12) for value in relevance]

    def cosine(a: int, b: int) -> float:
        lengths = [max(sum(x * x for x in vectors[row]) ** 0.5, 1e-12) for row in (a, b)]
        return sum(x * y for x, y in zip(vectors[a], vectors[b], strict=True)) / (lengths[0] * lengths[1])

    chosen = [max(range(len(relevance)), key=lambda row: (relevance[row], -row))]
    while len(chosen) < min(limit, len(relevance)):
        left = [row for row in range(len(relevance)) if row not in chosen]
        value = {
            row: (1 - diversity) * worth[row] - diversity * max(cosine(row, other) for other in chosen)
            for row in left
        }
        chosen.append(max(left, key=lambda row: (value[row], -row)))
    return chosen


def test_the_next_movie_is_the_best_by_the_formula() -> None:
    # After row 0: row 1 has 0.5 x 0.8 - 0.5 x 1.0 = -0.1, row 2 has 0.5 x 0.0 - 0.5 x 0.0 = 0.
    relevance = np.float32([1.0, 0.8, 0.0])
    vectors = np.float32([[1, 0], [2, 0], [0, 3]])
    assert most_diverse(relevance, vectors, 3, 0.5).tolist() == [0, 2, 1]
    # With diversity 0.2: 0.8 x 0.8 - 0.2 = 0.44 against 0.
    assert most_diverse(relevance, vectors, 3, 0.2).tolist() == [0, 1, 2]


@given(
    relevance=arrays(np.float32, st.shared(st.integers(1, 12), key="n"), elements=st.integers(-50, 50)),
    vectors=arrays(
        np.float32, st.tuples(st.shared(st.integers(1, 12), key="n"), st.just(3)), elements=st.integers(-5, 5)
    ),
    limit=st.integers(1, 14),
    diversity=st.sampled_from([0.0, 0.1, 0.37, 0.5, 0.81, 1.0]),
)
def test_it_chooses_as_the_formula_written_out_does(
    relevance: np.ndarray, vectors: np.ndarray, limit: int, diversity: float
) -> None:
    chosen = most_diverse(relevance, vectors, limit, diversity).tolist()
    assert len(chosen) == len(set(chosen)) == min(limit, len(relevance))
    expected = plainly(relevance.tolist(), vectors.tolist(), limit, diversity)
    if chosen != expected:  # only where two are equal but for rounding
        place = next(n for n in range(len(chosen)) if chosen[n] != expected[n])
        low, span = float(relevance.min()), max(float(np.ptp(relevance)), 1e-12)
        directions = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        values = [
            (1 - diversity) * (float(relevance[row]) - low) / span
            - diversity * float((directions[expected[:place]] @ directions[row]).max())
            for row in (chosen[place], expected[place])
        ]
        assert values[0] == pytest.approx(values[1], abs=1e-5)


def test_without_diversity_the_order_is_that_of_relevance() -> None:
    generator = np.random.default_rng(3)
    relevance = generator.normal(size=40).astype(np.float32)
    vectors = generator.normal(size=(40, 8)).astype(np.float32)
    assert most_diverse(relevance, vectors, 40, 0.0).tolist() == np.argsort(-relevance).tolist()


def test_nothing_to_choose_from_gives_nothing() -> None:
    assert most_diverse(np.empty(0, np.float32), np.empty((0, 4), np.float32), 5, 0.5).tolist() == []
