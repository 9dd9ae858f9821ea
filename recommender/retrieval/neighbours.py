"""How much one movie speaks for another, and a user's whole history for a candidate."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy import sparse

from recommender.configuration import Configuration
from recommender.errors import DataError
from recommender.features.history import History

_BLOCK_ELEMENTS: Final = 2**24
"""Scores held at a time: 64 MiB as float32."""


class NeighboursConfig(Configuration):
    """How strongly movies speak for one another."""

    piece_length: int | None = Field(default=40, ge=2)
    """Histories are cut into pieces of about so many ratings in the order of time, because what somebody
    rates together belongs together more than what they rate years apart. Left whole if not given."""
    by_rating: bool = False
    """Whether a rating counts as much as it is high; otherwise each counts once."""
    regularization: float = Field(default=200.0, gt=0)
    """Of EASE; larger trusts movies with many ratings more."""
    weight: float = Field(default=0.5, ge=0)
    """How much its evidence counts where training of the re-ranker starts; the retrieval score counts 1."""
    kept: int = Field(default=500, ge=1)
    """Neighbours kept of each movie: those with the largest weights, positive or negative."""
    memory_gb: float = Field(default=2.0, gt=0)
    """Most gigabytes that the weights may take while they are computed, 4 bytes a pair of movies: 2 are
    enough for the 22,360 movies with most ratings. Rarer movies get no neighbours."""


@dataclass(frozen=True)
class Neighbours:
    """The movies that each movie speaks for.

    Attributes:
        n_movies: Movies, with or without neighbours.
        movies: int32 [rows], ascending, the movies that have neighbours.
        neighbours: int32 [rows, kept], the movies that each speaks for.
        weight: float32 [rows, kept], how strongly; negative speaks against it.
        by_rating: Whether a rating counts as much as it is high.
    """

    n_movies: int
    movies: npt.NDArray[np.int32]
    neighbours: npt.NDArray[np.int32]
    weight: npt.NDArray[np.float32]
    by_rating: bool = False

    def counts(self, history: History) -> npt.NDArray[np.float32]:
        """What each rating counts if nothing else is said: its stars by `by_rating`, else 1."""
        return _counts(history, self.by_rating)

    @cached_property
    def _row(self) -> npt.NDArray[np.int32]:
        """The row of each movie, -1 without neighbours."""
        row = np.full(self.n_movies, -1, np.int32)
        row[self.movies] = np.arange(len(self.movies))
        return row

    def evidence(
        self,
        history: History,
        candidates: npt.NDArray[np.int64],
        value: npt.NDArray[np.float32] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Sum, for each candidate, the weights from the movies that its user has rated.

        Args:
            history: What each user has rated, one row a user.
            candidates: int64 [users, candidates], movie positions, none twice; -1 for an empty place.
            value: float32 [ratings], what each rating counts; by `by_rating` if not given.

        Returns:
            float32 [users, candidates]; 0 in an empty place.
        """
        values = self.counts(history) if value is None else value
        evidence: npt.NDArray[np.float32] = self.evidence_of_each(history, candidates, values[np.newaxis])[0]
        return evidence

    def evidence_of_each(
        self,
        history: History,
        candidates: npt.NDArray[np.int64],
        values: npt.NDArray[np.float32],
    ) -> npt.NDArray[np.float32]:
        """The same for ratings that count in several ways, for little more than one way costs.

        Args:
            history: What each user has rated, one row a user.
            candidates: int64 [users, candidates], movie positions, none twice; -1 for an empty place.
            values: float32 [ways, ratings], what each rating counts.

        Returns:
            float32 [ways, users, candidates]; 0 in an empty place.
        """
        n_users, n_candidates = candidates.shape
        evidence = np.zeros((len(values), n_users, n_candidates), np.float32)
        kept = self.neighbours.shape[1]
        weights = self.weight.ravel()
        # Most neighbours of what somebody has rated are no candidates, and their weights are never looked at:
        # user by user this takes a fraction of what a product of sparse matrices does.
        place = np.full(self.n_movies, n_candidates, np.min_scalar_type(n_candidates))
        splits = history.row_splits.tolist()
        for user in range(n_users):
            rated = slice(splits[user], splits[user + 1])
            row = self._row[history.movie_index[rated]]
            given = np.flatnonzero(row >= 0)
            row = row[given]
            there = np.flatnonzero(candidates[user] >= 0)
            place[candidates[user, there]] = there
            near = place.take(self.neighbours.take(row, axis=0)).ravel()
            place[candidates[user, there]] = n_candidates
            found = np.flatnonzero(near < n_candidates)
            which = found // kept
            weight = weights.take(found + ((row - np.arange(len(row))) * kept).take(which))
            to = near.take(found)
            for way, value in enumerate(values[:, rated]):
                evidence[way, user] = np.bincount(to, weight * value[given].take(which), n_candidates)
        return evidence

    def weights_between(
        self, rated: npt.NDArray[np.int32], candidates: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        """How strongly each movie that one user has rated speaks for each candidate.

        Args:
            rated: int32 [ratings], movie positions.
            candidates: int64 [candidates], movie positions, none twice.

        Returns:
            float32 [ratings, candidates]; 0 where a movie says nothing of another.
        """
        weights = np.zeros((len(rated), len(candidates)), np.float32)
        place = np.full(self.n_movies, -1, np.int32)
        place[candidates] = np.arange(len(candidates))
        row = self._row[rated]
        given = np.flatnonzero(row >= 0)
        near = place.take(self.neighbours.take(row[given], axis=0)).ravel()
        found = np.flatnonzero(near >= 0)
        which, number = np.divmod(found, self.neighbours.shape[1])
        weights[given[which], near[found]] = self.weight[row[given][which], number]
        return weights

    def save(self, folder: Path) -> None:
        """Write the arrays as they are, each as a file in NumPy's npy format.

        Args:
            folder: Must not be there yet.
        """
        folder.mkdir()
        for name in ("n_movies", "movies", "neighbours", "weight", "by_rating"):
            np.save(folder / f"{name}.npy", np.asarray(getattr(self, name)))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` has written, mapped into memory: processes that read the same share it.

        Raises:
            DataError: a file is missing or holds something else.
        """
        try:
            return cls(
                n_movies=int(np.load(folder / "n_movies.npy", allow_pickle=False)),
                movies=_mapped(folder / "movies.npy"),
                neighbours=_mapped(folder / "neighbours.npy"),
                weight=_mapped(folder / "weight.npy"),
                by_rating=bool(np.load(folder / "by_rating.npy", allow_pickle=False)),
            )
        except (OSError, EOFError, ValueError) as error:
            raise DataError(f"{folder} holds no neighbours ({error}): run the Trainer step again.") from error


def _mapped(file: Path) -> npt.NDArray[Any]:
    # A plain view: slices of a memmap are memmaps, which are slow to make.
    return np.asarray(np.load(file, mmap_mode="r", allow_pickle=False))


def fit_neighbours(history: History, n_movies: int, config: NeighboursConfig) -> Neighbours:
    """Learn from the histories of all users which movies speak for which, by EASE.

    Steck, "Embarrassingly Shallow Autoencoders" (WWW 2019), with each piece of a history as a user: with the
    Gram matrix ``G = X'X + regularization * I`` and ``P = inverse(G)``, movie `i` speaks for movie `j` with
    the weight ``-P[i, j] / P[j, j]``. Only the movies with most ratings take part, as many as `memory_gb` has
    room for.

    Args:
        history: What each user has rated, oldest first. Nothing that is to be predicted may be in it.
        n_movies: Movies in the catalogue.
        config: How.
    """
    # Only who fits neighbours needs this, and the service does not have all that it comes with.
    from recommender.evaluation.baselines.ease import ease_weights_of, gram_matrix, movies_with_room

    chosen = movies_with_room(history, n_movies, config.memory_gb, "neighbours")
    pieces = history.of_movies(chosen, n_movies)
    if config.piece_length is not None:
        pieces = pieces.pieces(config.piece_length)
    counted = _counts(pieces, config.by_rating)
    rated = _matrix_of(pieces, len(chosen), counted / max(counted.max(initial=0), 1))
    weights = ease_weights_of(gram_matrix(rated), config.regularization)

    kept = min(config.kept, len(chosen))
    nearest = np.empty((len(chosen), kept), np.int32)
    block = max(1, _BLOCK_ELEMENTS // max(1, len(chosen)))
    for start in range(0, len(chosen), block):
        strength = np.abs(weights[start : start + block])
        places = np.argpartition(strength, strength.shape[1] - kept, axis=1)[:, strength.shape[1] - kept :]
        nearest[start : start + block] = np.sort(places, axis=1)
    return Neighbours(
        n_movies=n_movies,
        movies=chosen.astype(np.int32),
        neighbours=chosen[nearest].astype(np.int32),
        weight=np.take_along_axis(weights, nearest, axis=1),
        by_rating=config.by_rating,
    )


def _counts(history: History, by_rating: bool) -> npt.NDArray[np.float32]:
    return history.rating if by_rating else np.ones_like(history.rating)


def _matrix_of(history: History, n_movies: int, values: npt.NDArray[np.float32]) -> Any:
    return sparse.csr_array(
        (values, history.movie_index, history.row_splits), shape=(history.n_users, n_movies)
    )
