"""Recommended movies as the service describes them."""

from pydantic import BaseModel, ConfigDict, Field

from recommender.explanations.evidence import Explainer
from recommender.explanations.reasons import reasons_of
from recommender.release import History, Release
from recommender.retrieval.recommend import Recommended, Strategy
from serving.records.request_record import Part
from serving.routes.movie_evidence import MovieEvidence
from serving.routes.movie_summary import MovieSummary, summary_of


class RecommendedMovie(MovieSummary):
    """One recommended movie."""

    rank: int = Field(examples=[1])
    """1 for the first."""
    score: float = Field(examples=[0.8731])
    """How well it fits: with `two_stage` the re-ranker's score, with `two_tower` the dot product of user and
    movie vector, with `popular` how many people rated it. Comparable within one answer only; falls with the
    rank unless `diversity` is above 0."""
    predicted_rating: float | None = Field(examples=[4.2])
    """What the user would give it, in stars; null where that cannot be told."""
    reason: str | None = Field(default=None, examples=["Because you liked Blade Runner (1982)"])
    """Why it is recommended, if `explain` is true."""
    evidence: MovieEvidence | None = None
    """What its score is made of, if `explain` is true; null where nothing is known of the user, and for
    releases made without what this takes."""


class RecommendedMovies(BaseModel):
    """Recommended movies, and how they were found."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    release: str = Field(examples=["20260314T092653Z-5f0c6f1f"])
    """The release that answered."""
    strategy: Strategy = Field(examples=["two_stage"])
    """How they were found. `two_stage`: recalled by the user's own vector, then ordered anew. `two_tower`: by
    the vector alone, where the release has no re-ranker. `popular`: nothing is known of the user."""
    items: list[RecommendedMovie]
    """The movies, first the one to show first; fewer than `limit` where fewer are left. What the user has
    rated never comes back."""
    degraded: list[Part] = Field(examples=[[]])
    """What failed and was done without: `cache` computes each answer anew, `index` searches every vector,
    `ratings` knows only what was rated before the release was made."""


def described(
    release: Release, recommended: Recommended, history: History, explainer: Explainer | None
) -> list[RecommendedMovie]:
    """Recommended movies with everything that is shown of them.

    Args:
        release: the movies are of this one.
        recommended: best first.
        history: what whoever gets them has rated.
        explainer: says why; None where nobody asks.
    """
    items = []
    for rank, (movie_id, score, rating) in enumerate(recommended.movies, start=1):
        items.append(
            RecommendedMovie(
                **summary_of(release.movie(movie_id)),
                rank=rank,
                score=score,
                predicted_rating=None if rating is None else round(rating, 2),
            )
        )
    if explainer is not None:
        for item, reason in zip(items, reasons_of(explainer, recommended, history), strict=True):
            item.reason = reason.text
            item.evidence = None if reason.evidence is None else MovieEvidence.of(reason.evidence)
    return items
