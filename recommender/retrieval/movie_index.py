"""What a vector index of movies can do, whichever engine is behind it."""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from recommender.retrieval.movie_filter import MovieFilter


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
        self,
        vector: NDArray[np.float32],
        limit: int,
        *,
        exclude: Sequence[int] = (),
        filter: MovieFilter | None = None,
        exact: bool = False,
    ) -> list[ScoredMovie]:
        """The best movies, best first, lower id first among equals.

        Args:
            vector: float32 [dimension].
            limit: how many, 1 or more; fewer come back where fewer are left.
            exclude: ids of movies that must not come back; the search itself passes over them, so that
                `limit` movies come back however many are excluded.
            filter: what the movies must be like; the search itself passes over others.
            exact: compare with every movie, also where the index is approximate.

        Raises:
            IndexUnavailableError: the index did not answer.
        """
        ...

    def search_batch(
        self,
        vectors: NDArray[np.float32],
        limit: int,
        *,
        excludes: Sequence[Sequence[int]] | None = None,
        filter: MovieFilter | None = None,
        exact: bool = False,
    ) -> list[list[ScoredMovie]]:
        """What `search` gives for each of many vectors, by one question to the engine.

        Args:
            vectors: float32 [vectors, dimension].
            limit: how many for each, 1 or more.
            excludes: for each vector what must not come back; nothing is excluded if None.
            filter: what the movies must be like, for all vectors.
            exact: compare with every movie, also where the index is approximate.

        Raises:
            ValueError: not as many `excludes` as vectors.
            IndexUnavailableError: the index did not answer.
        """
        ...

    def count(self) -> int:
        """How many movies the index holds.

        Raises:
            IndexUnavailableError: the index did not answer.
        """
        ...

    def close(self) -> None:
        """Release what the index holds; searching it afterwards is an error."""
        ...


def check_batch(vectors: NDArray[np.float32], excludes: Sequence[Sequence[int]] | None) -> None:
    """Refuse a batch whose parts do not go together.

    Raises:
        ValueError: not as many `excludes` as vectors.
    """
    if excludes is not None and len(excludes) != len(vectors):
        raise ValueError(f"{len(vectors)} vectors do not go with {len(excludes)} lists of excluded movies.")


def best_in_order(
    found: list[ScoredMovie], limit: int, search_again: Callable[[int], list[ScoredMovie]]
) -> list[ScoredMovie]:
    """The `limit` best of what an engine found, lower id first among equals.

    An engine keeps any of the movies that have the last score. One movie more than wanted tells whether some
    of these were left out; only then is more asked for.

    Args:
        found: what the engine gives for `limit` + 1, best first.
        limit: 1 or more.
        search_again: what the engine gives for a larger limit.
    """
    asked = limit + 1
    while len(found) == asked and found[-1].score == found[limit - 1].score:
        asked *= 2
        found = search_again(asked)
    found = sorted(found, key=itemgetter(0))
    found.sort(key=itemgetter(1), reverse=True)  # keeps the order of equals
    return found[:limit]


def best_of_each_in_order(
    ask: Callable[[int, Sequence[int]], list[list[ScoredMovie]]], n_vectors: int, limit: int
) -> list[list[ScoredMovie]]:
    """What `best_in_order` gives for each vector of a batch.

    Args:
        ask: what the engine gives for a limit and the vectors in some rows, all at once.
        n_vectors: how many there are.
        limit: 1 or more.
    """
    found = ask(limit + 1, range(n_vectors))

    def of(row: int) -> list[ScoredMovie]:
        return best_in_order(found[row], limit, lambda asked: ask(asked, [row])[0])

    return [of(row) for row in range(n_vectors)]
