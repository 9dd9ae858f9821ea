"""Hyperparameters of the re-ranker."""

from typing import Annotated, Final

from pydantic import Field

from recommender.configuration import Configuration
from recommender.retrieval.neighbours import NeighboursConfig

RETRIEVAL_SCORE: Final = "retrieval_score"
"""The feature that tells where a candidate is: -inf in an empty place."""
HISTORY_LENGTH: Final = "history_length"
"""The one feature that is the user's and not a candidate's."""


class ReRankerConfig(Configuration):
    """What is ordered anew, by what, and how that is learned."""

    candidates: int = Field(default=200, ge=1)
    """Movies recalled for each user; the order of these is what is learned."""
    neighbours: Annotated[tuple[NeighboursConfig, ...], Field(min_length=1)] = (
        NeighboursConfig(piece_length=40, regularization=200.0),
        NeighboursConfig(piece_length=None, by_rating=True, regularization=250.0),
    )
    """Each gives the candidates evidence from the movies that the user has rated."""
    users: int = Field(default=20_000, ge=2)
    """Most users whose candidates are learned from: what they take in memory does not grow beyond these."""
    hidden: int = Field(default=16, ge=0)
    """Width of the network that corrects the weighted sum of the features; 0 leaves it out."""
    epochs: int = Field(default=20, ge=1)
    """Most epochs; early stopping usually ends training sooner."""
    batch_size: int = Field(default=64, ge=1)
    """Users a step."""
    learning_rate: float = Field(default=0.003, gt=0)
    """Of Adam."""
    l2: float = Field(default=0.001, ge=0)
    """Holds the network's correction back."""
    patience: int = Field(default=4, ge=1)
    """Epochs without a better NDCG@10 of the users held out before training stops."""
    held_out: float = Field(default=0.2, gt=0, lt=1)
    """Share of the users by whom stopping is chosen."""
