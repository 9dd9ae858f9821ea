"""Why each recommended movie is recommended, in a sentence."""

import numpy as np

from recommender.explanations.evidence import find_evidence
from recommender.explanations.wording import because_popular, because_you_liked
from recommender.release import History, Release
from recommender.retrieval.recommend import Recommended


def reasons(release: Release, recommended: Recommended, history: History) -> list[str]:
    """A sentence for each movie of an answer, in its order.

    Args:
        release: the movies are of this one.
        recommended: the answer.
        history: what whoever gets it has rated.
    """
    movie_ids = [movie.movie_id for movie in recommended.movies]
    if recommended.strategy == "popular":
        return [because_popular(release.movie(movie_id)) for movie_id in movie_ids]
    evidence = find_evidence(release, history, np.asarray(movie_ids, dtype=np.int64))
    return [because_you_liked([release.movie(movie_id) for movie_id in liked]) for liked in evidence]
