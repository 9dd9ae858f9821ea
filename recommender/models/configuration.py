"""Hyperparameters of the towers and of the ranking head."""

from typing import Literal, Self

from pydantic import Field, model_validator

from recommender.configuration import Configuration


class TowerConfig(Configuration):
    """What both towers have."""

    id_dimension: int = Field(default=128, ge=1)
    """Width of the id and of the history embedding where `hidden` is given."""
    features_dimension: int = Field(default=32, ge=1)
    """Width that the features are brought to where `hidden` is given."""
    hidden: tuple[int, ...] = ()
    """Widths of dense ReLU layers over the concatenated parts. Empty: the parts are summed instead."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Dropout after each hidden layer."""
    batch_norm: bool = True
    """Batch normalisation after each hidden layer."""


class UserTowerConfig(TowerConfig):
    """What the user tower looks at and how it puts it together."""

    use_id: bool = False
    """Learn a vector for every user. Needs retraining for a new user."""
    use_history: bool = True
    """Sum the vectors of the movies that the user has rated. Serves new users without retraining."""
    use_features: bool = False
    """Read the seven user features."""
    history_weights: Literal["uniform", "rating"] = "uniform"
    """Whether a movie in the history counts once, or as much as it was rated."""
    history_dropout: float = Field(default=0.5, ge=0, lt=1)
    """Share of the history hidden in each training step, so that the rest has to predict it."""
    share_movie_embedding: bool = False
    """Let the history use the movie tower's id embedding instead of one of its own."""

    @model_validator(mode="after")
    def _has_a_part(self) -> Self:
        if not (self.use_id or self.use_history or self.use_features):
            raise ValueError("a user tower needs at least one of use_id, use_history, use_features")
        return self


class MovieTowerConfig(TowerConfig):
    """What the movie tower looks at and how it puts it together."""

    use_id: bool = True
    """Learn a vector for every movie."""
    use_features: bool = False
    """Read the genres and the numeric movie features."""

    @model_validator(mode="after")
    def _has_a_part(self) -> Self:
        if not (self.use_id or self.use_features):
            raise ValueError("a movie tower needs at least one of use_id, use_features")
        return self


class TwoTowerConfig(Configuration):
    """A user tower and a movie tower that meet in one space."""

    dimension: int = Field(default=128, ge=1)
    """Width of both towers' output."""
    normalize: bool = True
    """Bring both outputs to length 1, so that a score is a cosine."""
    temperature: float = Field(default=0.2, gt=0)
    """Scores are divided by this before the softmax."""
    loss: Literal["full_softmax", "in_batch_softmax"] = "full_softmax"
    """`full_softmax` goes over the whole catalogue, a user at a time; `in_batch_softmax` over the movies of
    the batch, a rating at a time, corrected for how often each movie is drawn."""
    user_tower: UserTowerConfig = UserTowerConfig()
    """The user side."""
    movie_tower: MovieTowerConfig = MovieTowerConfig()
    """The movie side."""

    @model_validator(mode="after")
    def _shares_an_embedding_of_one_width(self) -> Self:
        user, movie = self.user_tower, self.movie_tower
        if user.share_movie_embedding:
            if not movie.use_id:
                raise ValueError("user_tower.share_movie_embedding needs movie_tower.use_id")
            if embedding_width(user, self.dimension) != embedding_width(movie, self.dimension):
                raise ValueError("user_tower.share_movie_embedding needs both embeddings to be of one width")
        return self


def embedding_width(tower: TowerConfig, dimension: int) -> int:
    """Width of a tower's embeddings: its own where dense layers follow, else that of the output."""
    return tower.id_dimension if tower.hidden else dimension


class RankingHeadConfig(Configuration):
    """The head that predicts a rating from a user's and a movie's vector."""

    hidden: tuple[int, ...] = (64,)
    """Widths of dense ReLU layers over both vectors and their product."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Dropout after each hidden layer."""
    bias_l2: float = Field(default=1e-5, ge=0)
    """Penalty on the squared user and movie biases."""
