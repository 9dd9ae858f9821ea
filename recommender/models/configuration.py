"""Hyperparameters of the towers."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from recommender.configuration import Configuration
from recommender.data.rating_scale import HALF_STARS, RatingScale
from recommender.models.low_rank_ease import LowRankEaseConfig

RetrievalLoss = Literal["full_softmax", "reconstruction", "in_batch_softmax", "sampled_softmax", "bpr"]


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
    half_lives: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """Numbers of ratings after which an older movie of the history may count half as much, once trained. The
    best of them by validation NDCG@10 is taken, or none where all counting alike is better: that is so where
    ratings of any time are asked for, and not where the next ones are."""

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
    id_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of movies that a training step sees as if nobody had rated them, without id and with the numbers
    of an unrated movie, so that features alone come to give a sensible vector."""

    new_movies: Annotated[float, Field(gt=0)] | None = None
    """Give a movie that nobody has rated the vector to be expected of its genres and year: a ridge regression
    of the rated movies' vectors, each counted as often as it was rated, with this regularization, in movies
    of average popularity. Without it, such a movie has no vector but what `use_features` learns."""

    @model_validator(mode="after")
    def _has_a_part(self) -> Self:
        if not (self.use_id or self.use_features):
            raise ValueError("a movie tower needs at least one of use_id, use_features")
        if self.id_dropout and not self.use_features:
            raise ValueError("movie_tower.id_dropout needs use_features, or nothing is left of a movie")
        return self


class RecentPopularityConfig(Configuration):
    """What all users watch at the time, as one more number of the movies' vectors."""

    days: int = Field(default=30, ge=1)
    """Days before the newest rating whose ratings count."""
    weights: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=1)] = (0, 1, 2, 4, 8, 16)
    """Standard deviations of the movies' shares of these ratings, in that of the learned scores. The best by
    validation NDCG@10 is taken; without a validation part, the first."""


class TwoTowerConfig(Configuration):
    """A user tower and a movie tower that meet in one space."""

    dimension: int = Field(default=128, ge=1)
    """Width of what both towers learn, and of their output where nothing is put beside it."""
    normalize: bool = True
    """Bring what both towers learn to length 1, so that its score is a cosine."""
    low_rank_ease: LowRankEaseConfig | None = None
    """What is put beside the learned vectors once they are trained: EASE's scores, in few numbers."""
    recent_popularity: RecentPopularityConfig | None = None
    """What else is put beside them: how often a movie was rated of late."""
    temperature: float = Field(default=0.2, gt=0)
    """Scores are divided by this before the softmax, differences of scores before the sigmoid of `bpr`;
    `reconstruction` does not depend on it."""
    loss: RetrievalLoss = "full_softmax"
    """A user at a time, over the whole catalogue: `full_softmax`, or `reconstruction`, the normalised squared
    error of ELSA, several times faster. A rating at a time: `in_batch_softmax` over the movies of the batch;
    `sampled_softmax` over these and `negatives` others, both corrected for how likely each movie is to be
    there; `bpr`, which compares the rated movie with each of `negatives` others."""
    negatives: int = Field(default=256, ge=1)
    """Movies that `sampled_softmax` and `bpr` draw uniformly from the catalogue for each batch."""
    rating_weight: float = Field(default=0.0, ge=0, le=1)
    """Share of the squared error of ratings in what is minimised; the rest is `loss`. At 1 only ratings are
    learned."""
    rating_scale: RatingScale = HALF_STARS
    """What the cosine is stretched to, from -1 and 1, where ratings are learned."""
    rating_hidden: tuple[int, ...] = ()
    """Widths of dense ReLU layers that predict the rating from both vectors and their product. Empty: it is
    the cosine. With some, retrieval and rating prediction are two tasks over the same towers."""
    user_tower: UserTowerConfig = UserTowerConfig()
    """The user side."""
    movie_tower: MovieTowerConfig = MovieTowerConfig()
    """The movie side."""

    @property
    def output_dimension(self) -> int:
        """Width of both towers' output."""
        rank = 0 if self.low_rank_ease is None else self.low_rank_ease.rank
        return self.dimension + rank + (self.recent_popularity is not None)

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
