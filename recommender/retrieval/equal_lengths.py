"""Vectors of one length, which a graph of neighbours is better at, with the same dot products.

Where some vectors are much longer than others, these are the neighbours of nearly every movie, and the short
ones lie apart: a search that begins among them never leaves. So every vector gets one number more, which
makes it as long as most are. The vectors that are searched for have 0 there, so no score changes (Bachrach et
al., "Speeding up the Xbox recommender system using a Euclidean transformation for inner-product spaces",
RecSys 2014, section 3.1).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_MOST: Final = 0.995
"""Share of the vectors that are lengthened. The few longest stay as they are: made as long as them, all
others would differ in little but their last number."""


def of_equal_length(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors for an index, float32 [movies, dimension + 1].

    Args:
        vectors: float32 [movies, dimension].
    """
    lengths = np.linalg.norm(vectors, axis=1)
    length = np.quantile(lengths, _MOST) if len(vectors) else 0.0
    missing = np.sqrt(np.maximum(length**2 - lengths**2, 0.0))
    return np.column_stack([vectors, missing]).astype(np.float32)


def searched_for(vector: NDArray[np.float32]) -> list[float]:
    """A vector to search such an index for.

    Args:
        vector: float32 [dimension].

    Returns:
        `dimension` + 1 numbers.
    """
    return [*vector.tolist(), 0.0]
