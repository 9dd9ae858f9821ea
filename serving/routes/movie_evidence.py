"""Evidence as the service describes it."""

from pydantic import BaseModel, ConfigDict, Field

from recommender.explanations.evidence import Evidence, RatedGround

_DIGITS = 6


class RatedEvidence(BaseModel):
    """What a movie that was rated has to do with a recommended one."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    movie_id: int = Field(examples=[1214])
    """The rated movie."""
    title: str = Field(examples=["Alien (1979)"])
    """Its title, as in the source."""
    rating: float = Field(examples=[5.0])
    """What it was given."""
    contribution: float = Field(examples=[0.41])
    """What it adds to the score in all: `retrieval` and `neighbours` together."""
    retrieval: float = Field(examples=[0.29])
    """What it adds through the user's vector."""
    neighbours: float = Field(examples=[0.12])
    """What it adds through the re-ranker's item-to-item evidence; 0 with `two_tower`."""
    shared_genres: list[str] = Field(examples=[["Sci-Fi"]])
    """Genres of both movies."""
    years_apart: int | None = Field(examples=[3])
    """Years between them; null where one is not known."""
    people_rated: int | None = Field(examples=[210])
    """People who liked the rated movie and rated the recommended one; null for fewer than 5."""
    people_liked: int | None = Field(examples=[172])
    """How many of them liked both."""


class MovieEvidence(BaseModel):
    """What a score is made of. `rated`, `other_ratings` and `parts` add up to it."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    rated: list[RatedEvidence]
    """The rated movies that add most, most first; three at most, none that adds nothing."""
    other_ratings: float = Field(examples=[0.07])
    """What all other rated movies add."""
    parts: dict[str, float] = Field(examples=[{"profile": 0.02, "popularity": -0.01, "base": 0.11}])
    """What does not come from single ratings: `profile`, the rest of the user's vector, recent popularity
    included; with `two_stage` also `popularity`, `mean_rating`, `year_distance` and `genre_match`; `base`,
    what does not tell this movie from those it is compared with."""

    @classmethod
    def of(cls, evidence: Evidence) -> "MovieEvidence":
        """Describe evidence."""
        return cls(
            rated=[_rated(ground) for ground in evidence.grounds],
            other_ratings=round(evidence.other_ratings, _DIGITS),
            parts={name: round(value, _DIGITS) for name, value in evidence.parts.items()},
        )


def _rated(ground: RatedGround) -> RatedEvidence:
    return RatedEvidence(
        movie_id=ground.movie.movie_id,
        title=ground.movie.title,
        rating=ground.rating,
        contribution=round(ground.contribution, _DIGITS),
        retrieval=round(ground.by_retrieval, _DIGITS),
        neighbours=round(ground.by_neighbours, _DIGITS),
        shared_genres=list(ground.shared_genres),
        years_apart=ground.years_apart,
        people_rated=None if ground.people is None else ground.people.rated,
        people_liked=None if ground.people is None else ground.people.liked,
    )
