"""What a vector index of movies can do, whichever engine is behind it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from recommender.retrieval.movie_filter import MovieFilter

_EXCLUDED_A_CANDIDATE: Final = 8
"""Then recall@100 stays above .99 with 1,000 excluded, on vectors of MovieLens 25M's size."""


class ScoredMovie(NamedTuple):
    """A movie and how well it fits a vector."""

    movie_id: int
    score: float
    """The dot product of the movie's vector and the one searched for."""


@dataclass(frozen=True, slots=True, eq=False)
class FoundMovies:
    """Movies that fit a vector, best first.

    Attributes:
        movie_ids: int64 [found].
        scores: float32 [found], the dot product of each movie's vector and the one searched for.
    """

    movie_ids: NDArray[np.int64]
    scores: NDArray[np.float32]

    @classmethod
    def of(cls, movie_ids: Sequence[int], scores: Sequence[float]) -> Self:
        """Movies as an engine gives them."""
        return cls(np.array(movie_ids, np.int64), np.array(scores, np.float32))

    def __len__(self) -> int:
        return len(self.movie_ids)

    def __iter__(self) -> Iterator[ScoredMovie]:
        return map(ScoredMovie, self.movie_ids.tolist(), self.scores.tolist())


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
    ) -> FoundMovies:
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
    ) -> list[FoundMovies]:
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


def candidates_looked_at(search_candidates: int, n_excluded: int) -> int:
    """How many candidates an approximate search looks at where movies must not come back.

    These are the nearest of all, as a rule, and lie between the search and what it is after: the more there
    are, the further it must look.

    Args:
        search_candidates: as `HnswConfig.search_candidates`.
        n_excluded: movies that must not come back.
    """
    return search_candidates + n_excluded // _EXCLUDED_A_CANDIDATE


def check_batch(vectors: NDArray[np.float32], excludes: Sequence[Sequence[int]] | None) -> None:
    """Refuse a batch whose parts do not go together.

    Raises:
        ValueError: not as many `excludes` as vectors.
    """
    if excludes is not None and len(excludes) != len(vectors):
        raise ValueError(f"{len(vectors)} vectors do not go with {len(excludes)} lists of excluded movies.")


def best_in_order(found: FoundMovies, limit: int, search_again: Callable[[int], FoundMovies]) -> FoundMovies:
    """The `limit` best of what an engine found, lower id first among equals.

    An engine keeps any of the movies that have the last score. One movie more than wanted tells whether some
    of these were left out; only then is more asked for.

    Args:
        found: what the engine gives for `limit` + 1, best first.
        limit: 1 or more.
        search_again: what the engine gives for a larger limit.
    """
    asked = limit + 1
    while len(found) == asked and found.scores[-1] == found.scores[limit - 1]:
        asked *= 2
        found = search_again(asked)
    order = np.lexsort((found.movie_ids, -found.scores))[:limit]
    return FoundMovies(found.movie_ids[order], found.scores[order])


def best_of_each_in_order(
    ask: Callable[[int, Sequence[int]], list[FoundMovies]], n_vectors: int, limit: int
) -> list[FoundMovies]:
    """What `best_in_order` gives for each vector of a batch.

    Args:
        ask: what the engine gives for a limit and the vectors in some rows, all at once.
        n_vectors: how many there are.
        limit: 1 or more.
    """
    found = ask(limit + 1, range(n_vectors))

    def of(row: int) -> FoundMovies:
        return best_in_order(found[row], limit, lambda asked: ask(asked, [row])[0])

    return [of(row) for row in range(n_vectors)]
