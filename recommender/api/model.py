"""A trained model that recommends, explains itself and can be saved as a release."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pandas as pd
from pydantic import ValidationError

from recommender.errors import DataError, ReleaseError
from recommender.evaluation.result import TABLE_METRICS, Evaluation
from recommender.explanations.evidence import Evidence, Explainer, find_evidence
from recommender.explanations.reasons import ranked, reasons_of
from recommender.explanations.wording import because_popular, because_you_liked
from recommender.release import History, Movie, Release, copy_release
from recommender.retrieval.batch import recommend_all
from recommender.retrieval.exact_index import ExactMovieIndex
from recommender.retrieval.movie_filter import MovieFilter
from recommender.retrieval.recommend import Recommended, Recommender
from recommender.retrieval.title_search import TitleSearch
from recommender.scratch_folder import ScratchFolder


@dataclass(frozen=True)
class Explanation:
    """Why a movie suits a user.

    Attributes:
        movie: Which one.
        reason: A sentence.
        rated: The movies that the user has rated and that speak for it most, most first.
        evidence: In numbers, what its score is made of; None for a movie that the user has rated.
            Empty where nothing is.
    """

    movie: Movie
    reason: str
    rated: tuple[Movie, ...]
    evidence: Evidence | None = None


class Model:
    """A trained model, which answers as the service does: it is a release, opened in a notebook.

    Answers are data frames with a row for each movie, best first, `rank` from 1 as their index, and columns
    `movie_id`, `title`, `genres`, `release_year` and those that the method names. What a user has rated never
    comes back.

    Args:
        release: What was trained.

    Attributes:
        release: As given, with vectors, ratings and the manifest.

    Raises:
        DataError: a file of the release's models holds something else.
        ReleaseError: a model of the release cannot be run.
    """

    def __init__(self, release: Release) -> None:
        self.release: Final = release
        # Exact, so that nothing has to be closed: an index pays off with many questions at once.
        self._recommender = Recommender(release, ExactMovieIndex.of_release(release))
        self._kept: ScratchFolder | None = None

    @classmethod
    def open(cls, folder: str | Path, kept: ScratchFolder | None = None) -> Self:
        """Open a release, such as `save` or the pipeline has written, after checking that it is whole.

        Args:
            folder: Of the release, such as `var/releases/20260314T092653Z-5f0c6f1f`.
            kept: The temporary folder that it lies in, which then goes with the model.

        Raises:
            ReleaseError: there is no release, or a file of it is missing or altered.
        """
        model = cls(Release.load(Path(folder)))
        model._kept = kept
        return model

    def __repr__(self) -> str:
        counts = self.release.manifest.counts
        return (
            f"<Model of {counts.users:,} users and {counts.movies:,} movies, "
            f"trained on {self.release.manifest.dataset}>"
        )

    @cached_property
    def evaluation(self) -> Evaluation:
        """How good the model is on ratings that it was not trained on, beside the baselines.

        Raises:
            ReleaseError: the release comes from a version of Marquee that measured otherwise.
        """
        try:
            return Evaluation.model_validate(self.release.manifest.metrics)
        except ValidationError as error:
            raise ReleaseError(
                f"Release {self.release.version} does not say how good it is ({error}). Train it again."
            ) from error

    def metrics(self, k: int | None = None) -> pd.DataFrame:
        """The main numbers of the evaluation: a row for each stage of the model and each baseline.

        Stages are `retrieval`, the two towers alone, and `two_stage`, re-ranked, which is what `recommend`
        answers with where it is there.

        Args:
            k: The cut-off of the metrics; `evaluation.k` if not given.

        Returns:
            Columns recall, precision, ndcg, hit_rate, map and coverage; no rows where there was no test part.

        Raises:
            ValueError: there is no such cut-off.
        """
        chosen, measured = k or self.evaluation.k, self.evaluation.ks
        if measured and chosen not in measured:
            raise ValueError(f"k is {chosen}: the model was judged at {measured}.")
        everything = self.evaluation.models | self.evaluation.baselines
        rows = [[metrics[f"{name}@{chosen}"] for name in TABLE_METRICS] for metrics in everything.values()]
        index = pd.Index(list(everything), name=f"@{chosen}")
        return pd.DataFrame(rows, index=index, columns=list(TABLE_METRICS), dtype=float)

    def find(self, title: str, limit: int = 10) -> pd.DataFrame:
        """Movies by title, forgiving of typos, accents and the order of words.

        Args:
            title: Or some words of it.
            limit: How many at most.

        Returns:
            Beside what describes a movie: `rating_count`, how many people rated it.
        """
        rows = self._titles.find(title)[:limit]
        counts = self.release.movie_rating_counts[rows]
        return self._answer(self.release.movie_ids[rows].tolist(), rating_count=counts)

    def recommend(
        self, user_id: int, limit: int = 10, *, filter: MovieFilter | None = None, diversity: float = 0.0
    ) -> pd.DataFrame:
        """The best movies that a user has not rated; popular ones for who is not known.

        Args:
            user_id: Who.
            limit: How many, 1 or more; fewer come back where fewer are left.
            filter: What the movies must be like.
            diversity: From 0, the best movies, to 1, movies as unlike each other as can be.

        Returns:
            Beside what describes a movie: `score`, which is comparable within one answer only,
            `predicted_rating` in stars, missing where nothing is known of the user, and `reason`.
        """
        found = self._recommender.recommend(user_id, limit, filter=filter, diversity=diversity)
        return self._recommended(found, self.release.history_of(user_id))

    def recommend_for(
        self,
        ratings: Mapping[int, float] | Iterable[tuple[int, float]],
        limit: int = 10,
        *,
        filter: MovieFilter | None = None,
        diversity: float = 0.0,
    ) -> pd.DataFrame:
        """The best movies for whoever has rated these, which needs no training.

        Args:
            ratings: Movies and what they were given, oldest first, such as `{50: 5, 181: 4.5}` or
                `[(50, 5), (181, 4.5)]`. Movies that the model does not know are passed over.
            limit: How many, 1 or more; fewer come back where fewer are left.
            filter: What the movies must be like.
            diversity: From 0, the best movies, to 1, movies as unlike each other as can be.

        Returns:
            As that of `recommend`.

        Raises:
            ValueError: a rating is not finite.
        """
        pairs = list(ratings.items() if isinstance(ratings, Mapping) else ratings)
        history = History(
            np.array([movie_id for movie_id, _ in pairs], np.int64),
            np.array([rating for _, rating in pairs], np.float32),
            np.zeros(len(pairs), np.int64),
        )
        found = self._recommender.recommend_for(history, limit, filter=filter, diversity=diversity)
        return self._recommended(found, history)

    def recommend_all(self, limit: int = 10) -> pd.DataFrame:
        """The best movies for every user: columns `user_id`, `rank`, `movie_id` and `score`."""
        frame: pd.DataFrame = recommend_all(self.release, limit).to_pandas()
        return frame

    def similar(self, movie_id: int, limit: int = 10, *, filter: MovieFilter | None = None) -> pd.DataFrame:
        """The movies most like one, itself left out.

        Args:
            movie_id: Which one.
            limit: How many, 1 or more; fewer come back where fewer are left.
            filter: What the movies must be like.

        Returns:
            Beside what describes a movie: `score`, the dot product of both movies' vectors.

        Raises:
            DataError: a movie that the model does not know.
        """
        self._known(movie_id)
        found = self._recommender.similar(movie_id, limit, filter=filter).movies
        return self._answer(
            [movie.movie_id for movie in found], score=np.array([movie.score for movie in found], np.float32)
        )

    def explain(self, user_id: int, movie_id: int) -> Explanation:
        """Why a movie suits a user, whether or not it is among the best.

        Args:
            user_id: Who; somebody who rated nothing is told how popular it is.
            movie_id: Which one.

        Raises:
            DataError: a movie that the model does not know.
        """
        movie, history = self._known(movie_id), self.release.history_of(user_id)
        if not len(history.movie_ids):
            return Explanation(movie, because_popular(movie), ())
        found = ranked(self._recommender, user_id, movie_id)
        if found is not None:
            (reason,) = reasons_of(self._explainer, found[1], history)
            if reason.evidence is not None:
                named = tuple(ground.movie for ground in reason.evidence.grounds)
                return Explanation(movie, reason.text, named, reason.evidence)
        # A movie that the user has rated, or a release that cannot tell what each rating adds.
        (similar,) = find_evidence(self.release, history, np.array([movie_id], np.int64))
        named = tuple(self.release.movie(other) for other in similar)
        return Explanation(movie, because_you_liked(named), named)

    def save(self, releases: str | Path) -> Path:
        """Write the model as a release, which `marquee serve --release` and `Model.open` open.

        It appears whole or not at all, and none is promoted. The same model gives the same release.

        Args:
            releases: Folder of all releases, such as `var/releases`; made if it is not there.

        Returns:
            The folder of the release.
        """
        return copy_release(self.release.folder, Path(releases))

    @cached_property
    def _explainer(self) -> Explainer:
        return Explainer(self._recommender)

    @cached_property
    def _titles(self) -> TitleSearch:
        return TitleSearch.of_release(self.release)

    def _known(self, movie_id: int) -> Movie:
        if self.release.movie_position(movie_id) is None:
            raise DataError(f"The model knows no movie {movie_id}. Look for its id with find(title).")
        return self.release.movie(movie_id)

    def _recommended(self, found: Recommended, history: History) -> pd.DataFrame:
        ratings = [movie.predicted_rating for movie in found.movies]
        return self._answer(
            [movie.movie_id for movie in found.movies],
            score=np.array([movie.score for movie in found.movies], np.float32),
            predicted_rating=np.array(ratings, np.float32),
            reason=pd.array([reason.text for reason in reasons_of(self._explainer, found, history)], "str"),
        )

    def _answer(self, movie_ids: Sequence[int], **columns: Any) -> pd.DataFrame:
        movies = [self.release.movie(movie_id) for movie_id in movie_ids]
        return pd.DataFrame(
            {
                "movie_id": np.array(movie_ids, np.int64),
                "title": pd.array([movie.title for movie in movies], "str"),
                "genres": [", ".join(movie.genres) for movie in movies],
                "release_year": pd.array([movie.release_year for movie in movies], "Int64"),
                **columns,
            },
            index=pd.RangeIndex(1, len(movies) + 1, name="rank"),
        )
