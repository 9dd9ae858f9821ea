"""Hyperparameters of the ranking head."""

from pydantic import Field

from recommender.configuration import Configuration


class RankingHeadConfig(Configuration):
    """The head that predicts a rating from what the user and the movie's other raters have rated."""

    width: int = Field(default=64, ge=1)
    """Width of the vectors that histories are summed up in."""
    l2: float = Field(default=0.05, ge=0)
    """Penalty on the squared length of a vector for each rating that it takes part in."""
    mean_prior: float = Field(default=5.0, gt=0)
    """How many ratings of average height a movie's or a user's mean begins with."""
