"""The values that the baselines' hyperparameters are chosen from."""

from typing import Final, Literal, get_args

from recommender.configuration import Configuration
from recommender.evaluation.baselines.ease import EaseConfig
from recommender.evaluation.baselines.ials import IalsConfig
from recommender.evaluation.baselines.item_knn import ItemKnnConfig
from recommender.evaluation.baselines.recently_popular import RecentlyPopularConfig

BaselineName = Literal["most_popular", "recently_popular", "item_knn", "ease", "ials"]

BASELINES: Final[tuple[BaselineName, ...]] = get_args(BaselineName)
"""Every baseline, simplest first."""


class BaselinesConfig(Configuration):
    """The values that the baselines' hyperparameters are chosen from.

    Every combination of a baseline's values is tried on the validation part; where there is none, the first
    value of each is taken.
    """

    recently_popular: RecentlyPopularConfig = RecentlyPopularConfig()
    """The movies with the most ratings of late."""
    item_knn: ItemKnnConfig = ItemKnnConfig()
    """The movies that are most like those that a user has rated."""
    ease: EaseConfig = EaseConfig()
    """A linear model in closed form."""
    ials: IalsConfig = IalsConfig()
    """Matrix factorisation by alternating least squares."""
