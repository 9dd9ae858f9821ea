"""Recalling candidates and ordering them anew."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field

from recommender.document import Document
from recommender.features.history import History
from recommender.retrieval.candidate_features import CandidateFeatures, Features
from recommender.retrieval.lite_model import LiteModel
from recommender.retrieval.top_k import top_k

if TYPE_CHECKING:
    from recommender.evaluation.evaluator import Scorer

USERS_AT_ONCE: Final = 1024
"""Users whose candidates are described at a time, which bounds the memory."""


def recall(
    retrieval: "Scorer", seen: History, n_movies: int, candidates: int, start: int, stop: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """The unseen movies that retrieval scores best, for users `start` to `stop`.

    Args:
        retrieval: Scores the catalogue.
        seen: What each user has rated; never recalled.
        n_movies: Movies in the catalogue.
        candidates: Places.
        start: First user.
        stop: The user after the last.

    Returns:
        Movie positions int64 [users, candidates], best first, -1 in an empty place; their scores float32
        [users, candidates], -inf in an empty place.
    """
    scores = np.array(retrieval(start, stop), np.float32)
    rows = seen.rows(start, stop)
    scores[rows.user_of_each(), rows.movie_index] = -np.inf
    best, best_scores = top_k(scores, min(candidates, n_movies))
    return np.where(np.isneginf(best_scores), -1, best), best_scores


@dataclass(frozen=True)
class CandidateRanking:
    """Gives a user's candidates the scores that they are ordered by.

    Attributes:
        features: Describes candidates.
        score: From features to scores, float32 [users, candidates].
    """

    features: CandidateFeatures
    score: Callable[[Features], npt.NDArray[np.float32]]

    def scores(
        self,
        history: History,
        candidates: npt.NDArray[np.int64],
        retrieval_score: npt.NDArray[np.float32],
    ) -> npt.NDArray[np.float32]:
        """Score the candidates of some users, or of one.

        Args:
            history: What each user has rated, one row a user.
            candidates: int64 [users, candidates], movie positions; -1 for an empty place.
            retrieval_score: float32 [users, candidates], of the towers; -inf in an empty place.

        Returns:
            float32 [users, candidates], larger first; -inf in an empty place.
        """
        return self.score(self.features.of(history, candidates, retrieval_score))


class ReRankerDescription(Document):
    """What is to be known of a re-ranker beside its files."""

    file_name = "re_ranker.json"
    written_by = "Trainer"

    candidates: int = Field(ge=1)
    """Movies recalled for each user."""


@dataclass(frozen=True)
class ReRanking:
    """The second stage: a re-ranker, and how many movies the first stage is to recall for it.

    Attributes:
        candidates: Movies recalled for each user.
        ranking: Scores them.
        weights: How much each feature counts for each candidate; None where a release was made without.
    """

    candidates: int
    ranking: CandidateRanking
    weights: LiteModel | None = None

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `write_re_ranker` has written; needs no TensorFlow.

        Raises:
            DataError: a file is missing or holds something else.
            ReleaseError: the model is missing or cannot be run.
        """
        model = LiteModel(folder / "model.tflite")
        ranking = CandidateRanking(
            CandidateFeatures.load(folder / "features"), lambda features: model(**features)["score"]
        )
        weights = folder / "weights.tflite"
        return cls(
            ReRankerDescription.read(folder).candidates,
            ranking,
            LiteModel(weights) if weights.exists() else None,
        )

    def best(
        self,
        history: History,
        candidates: npt.NDArray[np.int64],
        retrieval_score: npt.NDArray[np.float32],
        k: int,
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """The `k` best of some users' candidates, best first, the lower position first among equals.

        Args:
            history: What each user has rated, one row a user.
            candidates: int64 [users, candidates], movie positions; -1 for an empty place.
            retrieval_score: float32 [users, candidates], of the towers; -inf in an empty place.
            k: How many, 1 or more.

        Returns:
            Movie positions int64 [users, k], -1 in an empty place, and their scores float32 [users, k]; of
            fewer columns where there are fewer candidates.
        """
        scores = self.ranking.scores(history, candidates, retrieval_score)
        order = np.lexsort((candidates, -scores), axis=1)[:, :k]
        return np.take_along_axis(candidates, order, axis=1), np.take_along_axis(scores, order, axis=1)


def two_stage(
    retrieval: "Scorer", ranking: CandidateRanking, seen: History, n_movies: int, candidates: int
) -> "Scorer":
    """Retrieval and re-ranking as one scorer: -inf for every movie that is not recalled.

    Args:
        retrieval: Scores the catalogue.
        ranking: Scores the candidates.
        seen: What each user has rated; never recalled.
        n_movies: Movies in the catalogue.
        candidates: Movies recalled for each user.
    """

    def score(start: int, stop: int) -> npt.NDArray[np.float32]:
        scores = np.full((stop - start, n_movies), -np.inf, np.float32)
        for first in range(start, stop, USERS_AT_ONCE):
            last = min(first + USERS_AT_ONCE, stop)
            best, best_scores = recall(retrieval, seen, n_movies, candidates, first, last)
            ordered = ranking.scores(seen.rows(first, last), best, best_scores)
            user, place = np.nonzero(best >= 0)
            scores[user + first - start, best[user, place]] = ordered[user, place]
        return scores

    return score
