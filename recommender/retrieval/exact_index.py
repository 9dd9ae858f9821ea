"""Movies searched exactly, by one matrix product over the vectors of a release."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from recommender.release import Release, positions_of
from recommender.retrieval.movie_filter import GENRES, RATING_COUNT, RELEASE_YEAR, MovieFilter, payloads_of
from recommender.retrieval.movie_index import FoundMovies, check_batch
from recommender.retrieval.top_k import top_k

_BLOCK_SCORES: Final = 1 << 22
"""Scores that are in memory at once, however many vectors a batch has."""


class ExactMovieIndex:
    """A `MovieIndex` on NumPy: what others are measured against, and what answers when they do not.

    Args:
        movie_ids: int64 [movies], ascending.
        vectors: float32 [movies, dimension]; kept, not copied.
        payloads: what to filter by: `genres`, `release_year` and `rating_count` of each movie.
    """

    def __init__(
        self,
        movie_ids: NDArray[np.int64],
        vectors: NDArray[np.float32],
        payloads: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        self._movie_ids = movie_ids
        self._vectors = vectors
        self._columns = _Columns(payloads) if payloads is not None else None

    @classmethod
    def of_release(cls, release: Release) -> Self:
        """The movies of a release, ready to be filtered."""
        return cls(release.movie_ids, release.movie_vectors, payloads_of(release))

    def search(
        self,
        vector: NDArray[np.float32],
        limit: int,
        *,
        exclude: Sequence[int] = (),
        filter: MovieFilter | None = None,
        exact: bool = True,
    ) -> FoundMovies:
        """The best movies, best first, lower id first among equals.

        Raises:
            ValueError: a filter, but no payloads to filter by.
        """
        return self.search_batch(vector[np.newaxis], limit, excludes=[exclude], filter=filter)[0]

    def search_batch(
        self,
        vectors: NDArray[np.float32],
        limit: int,
        *,
        excludes: Sequence[Sequence[int]] | None = None,
        filter: MovieFilter | None = None,
        exact: bool = True,
    ) -> list[FoundMovies]:
        """What `search` gives for each of many vectors.

        Raises:
            ValueError: a filter, but no payloads to filter by, or not as many `excludes` as vectors.
        """
        check_batch(vectors, excludes)
        limit = min(limit, len(self._movie_ids))
        if limit == 0:
            return [FoundMovies.of([], []) for _ in vectors]
        out = None if filter is None else ~self.passing(filter)
        block = max(1, _BLOCK_SCORES // len(self._movie_ids))
        found: list[FoundMovies] = []
        for start in range(0, len(vectors), block):
            # One vector is a matrix product of its own kind, twice as fast.
            some = vectors[start : start + block]
            scores = (self._vectors @ some[0])[np.newaxis] if len(some) == 1 else some @ self._vectors.T
            if out is not None:
                scores[:, out] = -np.inf
            for row, exclude in enumerate(excludes[start : start + block] if excludes is not None else ()):
                seen = positions_of(np.asarray(exclude, dtype=np.int64), self._movie_ids)
                scores[row, seen[seen >= 0]] = -np.inf
            best, best_scores = top_k(scores, limit)
            for columns, values in zip(best, best_scores, strict=True):
                kept = columns[np.isfinite(values)]
                found.append(FoundMovies(self._movie_ids[kept], values[: len(kept)]))
        return found

    @property
    def genre_counts(self) -> dict[str, int]:
        """How many movies have each genre, by name."""
        return {} if self._columns is None else self._columns.genre_counts

    def count(self) -> int:
        """How many movies the index holds."""
        return len(self._movie_ids)

    def close(self) -> None:
        """Nothing to release: the vectors belong to the caller."""

    def passing(self, wanted: MovieFilter) -> NDArray[np.bool_]:
        """Which movies a filter lets pass, bool [movies].

        Raises:
            ValueError: there are no payloads to filter by.
        """
        if self._columns is None:
            raise ValueError("These movies cannot be filtered: the index was made without payloads.")
        return self._columns.passing(wanted)


class _Columns:
    """The payloads as one array a field."""

    def __init__(self, payloads: Sequence[Mapping[str, Any]]) -> None:
        self._n_movies = len(payloads)
        self._rating_count = np.array([movie.get(RATING_COUNT) or 0 for movie in payloads], np.int64)
        # As a float, because nothing compares with one that is not a number.
        self._release_year = np.array([movie.get(RELEASE_YEAR) for movie in payloads], np.float64)
        rows: dict[str, list[int]] = {}
        for row, movie in enumerate(payloads):
            for genre in movie.get(GENRES) or ():
                rows.setdefault(genre, []).append(row)
        self._movies_of = {genre: np.array(rows[genre]) for genre in sorted(rows)}
        self.genre_counts = {genre: len(movies) for genre, movies in self._movies_of.items()}

    def passing(self, wanted: MovieFilter) -> NDArray[np.bool_]:
        """Which movies pass, bool [movies]."""
        passing = self._rating_count >= wanted.min_ratings
        if wanted.year_from is not None:
            passing &= self._release_year >= wanted.year_from
        if wanted.year_to is not None:
            passing &= self._release_year <= wanted.year_to
        if wanted.genres_any:
            passing &= np.any([self._has(genre) for genre in wanted.genres_any], axis=0)
        for genre in wanted.genres_all:
            passing &= self._has(genre)
        for genre in wanted.genres_none:
            passing &= ~self._has(genre)
        return passing

    def _has(self, genre: str) -> NDArray[np.bool_]:
        has = np.zeros(self._n_movies, np.bool_)
        if genre in self._movies_of:
            has[self._movies_of[genre]] = True
        return has
