"""What any model has to beat, each fitted as well as its own paper would have it."""

from recommender.evaluation.baselines.configuration import BASELINES, BaselineName, BaselinesConfig
from recommender.evaluation.baselines.ease import ease, ease_weights
from recommender.evaluation.baselines.fit_baselines import FittedBaseline, fit_baseline, fit_baselines
from recommender.evaluation.baselines.ials import ials
from recommender.evaluation.baselines.item_knn import item_knn
from recommender.evaluation.baselines.most_popular import most_popular
from recommender.evaluation.baselines.rating_matrix import linear_scorer
from recommender.evaluation.baselines.recently_popular import recently_popular

__all__ = [
    "BASELINES",
    "BaselineName",
    "BaselinesConfig",
    "FittedBaseline",
    "ease",
    "ease_weights",
    "fit_baseline",
    "fit_baselines",
    "ials",
    "item_knn",
    "linear_scorer",
    "most_popular",
    "recently_popular",
]
