"""Why each movie of an answer was recommended, in a sentence and in numbers where there are any."""

from dataclasses import dataclass, replace

import numpy as np

from recommender.explanations.evidence import Evidence, Explainer, find_evidence
from recommender.explanations.wording import because, because_popular, because_you_liked
from recommender.release import History
from recommender.retrieval.recommend import Recommended, Recommender


@dataclass(frozen=True, slots=True)
class Reason:
    """Why one movie was recommended."""

    text: str
    """A sentence without its full stop."""
    evidence: Evidence | None
    """What the score is made of; None where that cannot be told."""


def reasons_of(explainer: Explainer, recommended: Recommended, history: History) -> list[Reason]:
    """Why each movie of an answer was recommended.

    Args:
        explainer: Of the release that answered.
        recommended: The answer.
        history: What whoever got it has rated.
    """
    release = explainer.release
    movie_ids = [movie.movie_id for movie in recommended.movies]
    if recommended.strategy == "popular":
        return [Reason(because_popular(release.movie(movie_id)), None) for movie_id in movie_ids]
    evidence = explainer.explain(recommended)
    if evidence is not None:
        return [Reason(because(each), each) for each in evidence]
    similar = find_evidence(release, history, np.asarray(movie_ids, dtype=np.int64))
    return [
        Reason(because_you_liked([release.movie(movie_id) for movie_id in liked]), None) for liked in similar
    ]


def only(recommended: Recommended, movie_id: int) -> tuple[int, Recommended] | None:
    """The rank of one movie in an answer, and the answer with that movie alone; None if it is not there."""
    for rank, movie in enumerate(recommended.movies, start=1):
        if movie.movie_id == movie_id:
            return rank, replace(recommended, movies=[movie])
    return None


def ranked(recommender: Recommender, user_id: int, movie_id: int) -> tuple[int, Recommended] | None:
    """The rank of a movie, among what is recalled or else among all, and the answer with it alone.

    None for a movie that does not come back: rated by the user, or not of the release.
    """
    second = recommender.re_ranking
    everything = len(recommender.release.movie_ids)
    recalled = everything if second is None else min(second.candidates, everything)
    for limit in dict.fromkeys([recalled, everything]):
        found = only(recommender.recommend(user_id, limit), movie_id)
        if found is not None:
            return found
    return None
