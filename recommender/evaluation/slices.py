"""Whom and what a model is good for: its quality for some users, or in finding some movies."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.evaluation.evaluator import RankingQuality
from recommender.features.transformed_examples import History

Booleans = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

FEW_RATINGS = (
    (0, 0, "no rating"),
    (1, 4, "1 to 4 ratings"),
    (5, 9, "5 to 9 ratings"),
    (10, 19, "10 to 19 ratings"),
)
"""Cold start, by how many ratings there are in training: least, most, and how it is called."""
_QUARTILES = (0.25, 0.5, 0.75)
_THIRDS = ("head", "mid", "tail")


@dataclass(frozen=True)
class Slice:
    """Some of the users, or some of the movies.

    Attributes:
        by: What the slicing goes by, such as `genre`.
        name: Which of its slices, such as `Comedy`.
        of: Whether `members` are users or movies.
        members: bool [users] or [movies].
    """

    by: str
    name: str
    of: str
    members: Booleans


def user_slices(seen: History, judged: npt.NDArray[np.int64]) -> Iterator[Slice]:
    """Users by activity (quartiles of those judged), and those with few ratings.

    Args:
        seen: What each user has rated in training.
        judged: int64, positions of the users with a relevant movie.
    """
    lengths = seen.lengths
    edges = np.unique(np.quantile(lengths[judged], _QUARTILES).astype(np.int64))
    group = np.searchsorted(edges, lengths)
    for number in range(len(edges) + 1):
        members = group == number
        own = lengths[judged][members[judged]]
        if len(own):
            yield Slice("activity", f"{own.min():,} to {own.max():,} ratings", "users", members)
    for low, high, name in FEW_RATINGS:
        yield Slice("new users", name, "users", (lengths >= low) & (lengths <= high))


def movie_slices(
    popularity: npt.NDArray[np.int64],
    genres: npt.NDArray[np.float32],
    genre_names: Sequence[str],
    release_year: npt.NDArray[np.float64],
) -> Iterator[Slice]:
    """Movies by popularity, genre and decade, and those with few ratings.

    The most popular movies that together have a third of the training ratings are the head, those that have
    the next third the mid, all others the tail.

    Args:
        popularity: int64 [movies], ratings of each in training.
        genres: float32 [movies, genres], 1 where a movie has the genre.
        genre_names: In the order of the columns.
        release_year: float64 [movies], NaN where it is not known.
    """
    order = np.argsort(-popularity, kind="stable")
    # Counted before each movie, so that the one that crosses a third still belongs to it.
    before = np.cumsum(popularity[order]) - popularity[order]
    third = np.empty(len(popularity), np.int64)
    third[order] = np.minimum(3 * before // max(popularity.sum(), 1), 2)
    for number, name in enumerate(_THIRDS):
        yield Slice("popularity", name, "movies", third == number)
    for column, name in enumerate(genre_names):
        yield Slice("genre", name, "movies", genres[:, column] > 0)
    decade = release_year // 10 * 10
    for start in np.unique(decade[~np.isnan(decade)]):
        yield Slice("era", f"{start:.0f}s", "movies", decade == start)
    for low, high, name in FEW_RATINGS:
        members = (popularity >= low) & (popularity <= high)
        yield Slice("new movies", name, "movies", members)


def slice_values(
    slices: Sequence[Slice], quality: RankingQuality, relevant: History, n_movies: int, k: int
) -> Floats:
    """How good a model is for each user in each slice.

    For users it is their NDCG@K. For movies it is recall@K of those in the slice: what share of a user's
    relevant movies of the slice is among the first K.

    Args:
        slices: Of users and movies.
        quality: Of the model.
        relevant: What each user has rated in the part that is predicted.
        n_movies: Movies in the catalogue.
        k: Places that count, one of those measured.

    Returns:
        float64 [users judged, slices]; NaN where a user is not in the slice, or has nothing relevant in it.
    """
    values = np.full((quality.n_users, len(slices)), np.nan)
    of_users = [column for column, one in enumerate(slices) if one.of == "users"]
    for column in of_users:
        members = slices[column].members[quality.users]
        values[members, column] = quality.per_user[f"ndcg@{k}"][members]
    of_movies = [column for column, one in enumerate(slices) if one.of == "movies"]
    if of_movies:
        members = np.column_stack([slices[column].members for column in of_movies]).astype(np.float64)
        wanted = _matrix(relevant.row_splits, relevant.movie_index, n_movies)[quality.users] @ members
        hits = quality.hits[:, :k]
        splits = np.concatenate([[0], np.cumsum(hits.sum(axis=1))])
        found = _matrix(splits, quality.recommended[:, :k][hits], n_movies) @ members
        values[:, of_movies] = np.divide(found, wanted, out=np.full(wanted.shape, np.nan), where=wanted > 0)
    return values


def _matrix(
    row_splits: npt.NDArray[np.int64], movie_index: npt.NDArray[np.int32], n_movies: int
) -> sparse.csr_array:
    return sparse.csr_array(
        (np.ones(len(movie_index)), movie_index, row_splits), shape=(len(row_splits) - 1, n_movies)
    )
