"""What a re-ranker knows of a user's candidates."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from recommender.data.written_whole import written_whole
from recommender.errors import DataError
from recommender.features.history import History
from recommender.models.re_ranker_configuration import HISTORY_LENGTH, RETRIEVAL_SCORE, ReRankerConfig
from recommender.retrieval.neighbours import Neighbours, fit_neighbours

if TYPE_CHECKING:
    # Reading tables takes Ibis, which the service does without.
    from recommender.features.transformed_examples import TransformedExamples

Features = dict[str, npt.NDArray[np.float32]]

_SHRINKAGE: Final = 10.0
"""Ratings at the catalogue's mean that every movie's mean is drawn to it by."""
_NOTHING: Final = 1e-6
"""Shortest taste that has a direction."""


def feature_names(config: ReRankerConfig) -> tuple[str, ...]:
    """Names of the features that differ between a user's candidates.

    - `retrieval_score`: The dot product of the towers.
    - `evidence_<n>`: The sum of the weights that the n-th neighbours have from what the user has rated.
    - `liked_evidence`: The same by the first neighbours, each weight times how much the rating was above the
      user's mean, in stars.
    - `popularity`: The logarithm of 1 + the movie's ratings.
    - `mean_rating`: The movie's mean rating in stars, drawn to the catalogue's where it has few.
    - `year_distance`: Years between the movie and the mean of the user's movies.
    - `genre_match`: The cosine of the movie's genres and the sum of those of the user's movies.
    """
    return (
        *start_weights(config),
        "liked_evidence",
        "popularity",
        "mean_rating",
        "year_distance",
        "genre_match",
    )


def start_weights(config: ReRankerConfig) -> dict[str, float]:
    """The features whose weighted sum is a good order already: the retrieval score, and evidence beside it.

    Returns:
        The weight of each, 1 together.
    """
    weights = {RETRIEVAL_SCORE: 1.0}
    weights |= {f"evidence_{number}": each.weight for number, each in enumerate(config.neighbours)}
    return {name: weight / sum(weights.values()) for name, weight in weights.items()}


@dataclass(frozen=True)
class CandidateFeatures:
    """What is known of movies, and how candidates are described by it.

    Attributes:
        neighbours: Which movies speak for which, in one or more ways.
        popularity: float32 [movies].
        mean_rating: float32 [movies], in stars.
        release_year: float32 [movies].
        genres: float32 [movies, genres], of length 1 or 0.
    """

    neighbours: tuple[Neighbours, ...]
    popularity: npt.NDArray[np.float32]
    mean_rating: npt.NDArray[np.float32]
    release_year: npt.NDArray[np.float32]
    genres: npt.NDArray[np.float32]

    @classmethod
    def fit(cls, history: History, examples: "TransformedExamples", config: ReRankerConfig) -> Self:
        """Learn them from the histories of all users.

        Args:
            history: What each user has rated. Nothing that is to be predicted may be in it.
            examples: The catalogue's features.
            config: Which neighbours.
        """
        from recommender.features.transformed_examples import MOVIE_NUMBERS

        n_movies = examples.n_movies
        counts = np.bincount(history.movie_index, minlength=n_movies)
        sums = np.bincount(history.movie_index, history.rating, n_movies)
        mean = float(history.rating.mean()) if len(history.rating) else 0.0
        lengths = np.linalg.norm(examples.movie_genres, axis=1, keepdims=True)
        return cls(
            neighbours=tuple(fit_neighbours(history, n_movies, each) for each in config.neighbours),
            popularity=np.log1p(counts).astype(np.float32),
            mean_rating=((sums + _SHRINKAGE * mean) / (counts + _SHRINKAGE)).astype(np.float32),
            release_year=examples.movie_numbers[:, MOVIE_NUMBERS.index("release_year")],
            genres=examples.movie_genres / np.maximum(lengths, 1.0),
        )

    def of(
        self,
        history: History,
        candidates: npt.NDArray[np.int64],
        retrieval_score: npt.NDArray[np.float32],
    ) -> Features:
        """Describe the candidates of some users.

        Args:
            history: What each user has rated, one row a user.
            candidates: int64 [users, candidates], movie positions; -1 for an empty place.
            retrieval_score: float32 [users, candidates], of the towers; -inf in an empty place.

        Returns:
            Each of `feature_names` as float32 [users, candidates], and `history_length` float32 [users, 1].
        """
        lengths = history.lengths
        user = history.user_of_each()
        each = np.maximum(lengths, 1)
        mean_rating = np.bincount(user, history.rating, history.n_users) / each
        mean_year = np.bincount(user, self.release_year[history.movie_index], history.n_users) / each
        summed = np.cumsum(self.genres[history.movie_index], axis=0, dtype=np.float64)
        taste = np.diff(np.vstack([np.zeros(summed.shape[1]), summed])[history.row_splits], axis=0)
        taste /= np.maximum(np.linalg.norm(taste, axis=1, keepdims=True), _NOTHING)
        above_mean = (history.rating - mean_rating[user]).astype(np.float32)
        evidence = [neighbours.evidence(history, candidates) for neighbours in self.neighbours[1:]]
        first = self.neighbours[0]
        first_evidence, liked_evidence = first.evidence_of_each(
            history, candidates, np.stack([first.counts(history), above_mean])
        )
        features = {
            RETRIEVAL_SCORE: retrieval_score,
            **{f"evidence_{number}": values for number, values in enumerate([first_evidence, *evidence])},
            "liked_evidence": liked_evidence,
            "popularity": self.popularity[candidates],
            "mean_rating": self.mean_rating[candidates],
            "year_distance": np.abs(self.release_year[candidates] - mean_year[:, np.newaxis]),
            "genre_match": np.einsum("ug,ucg->uc", taste, self.genres[candidates]),
            HISTORY_LENGTH: lengths[:, np.newaxis],
        }
        return {name: values.astype(np.float32) for name, values in features.items()}

    def save(self, folder: Path) -> None:
        """Write `movies.npz` and `neighbours_<n>/`, whole or not at all."""
        with written_whole(folder) as scratch:
            np.savez(
                scratch / "movies.npz",
                popularity=self.popularity,
                mean_rating=self.mean_rating,
                release_year=self.release_year,
                genres=self.genres,
            )
            for number, neighbours in enumerate(self.neighbours):
                neighbours.save(scratch / f"neighbours_{number}")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` has written.

        Raises:
            DataError: a file is missing or holds something else.
        """
        file = folder / "movies.npz"
        try:
            with np.load(file, allow_pickle=False) as arrays:
                movies = {
                    name: arrays[name] for name in ("popularity", "mean_rating", "release_year", "genres")
                }
        except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
            raise DataError(
                f"{file} holds no features of movies ({error}): run the Trainer step again."
            ) from error
        count = len(list(folder.glob("neighbours_*")))
        return cls(
            neighbours=tuple(Neighbours.load(folder / f"neighbours_{number}") for number in range(count)),
            **movies,
        )
