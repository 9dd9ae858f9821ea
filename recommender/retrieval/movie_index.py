"""What a vector index of movies can do, whichever engine is behind it."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class ScoredMovie(NamedTuple):
    """A movie and how well it fits a vector."""

    movie_id: int
    score: float
    """The dot product of the movie's vector and the one searched for."""


class MovieIndex(Protocol):
    """Finds the movies whose vectors have the largest dot product with a given one.

    Safe to search from several threads at once.
    """

    def search(
        self, vector: NDArray[np.float32], limit: int, *, exclude: Sequence[int] = ()
    ) -> list[ScoredMovie]:
        """The best movies, best first, lower id first among equals.

        Args:
            vector: float32 [dimension].
            limit: how many, 1 or more; fewer come back where fewer are left.
            exclude: ids of movies that must not come back; the search itself passes over them, so that
                `limit` movies come back however many are excluded.

        Raises:
            IndexUnavailableError: the index did not answer.
        """
        ...

    def count(self) -> int:
        """How many movies the index holds."""
        ...

    def close(self) -> None:
        """Release what the index holds; searching it afterwards is an error."""
        ...
