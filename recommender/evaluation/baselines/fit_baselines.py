"""Fitting baselines, with their hyperparameters chosen on the validation part."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from recommender.evaluation.baselines.configuration import BaselineName, BaselinesConfig
from recommender.evaluation.baselines.ease import ease
from recommender.evaluation.baselines.ials import ials
from recommender.evaluation.baselines.item_knn import item_knn
from recommender.evaluation.baselines.most_popular import most_popular
from recommender.evaluation.baselines.recently_popular import recently_popular
from recommender.evaluation.evaluator import Scorer, evaluate_ranking
from recommender.features.transformed_examples import History, Interactions, TransformedExamples

logger = logging.getLogger(__name__)

_DEFAULTS = BaselinesConfig()


@dataclass(frozen=True)
class FittedBaseline:
    """A fitted baseline.

    Attributes:
        scorer: Scores the users that it was fitted on.
        hyperparameters: Those chosen.
        seconds: How long the fit took, once they were.
        choice_seconds: How long choosing them took.
    """

    scorer: Scorer = field(repr=False)
    hyperparameters: Mapping[str, Any]
    seconds: float
    choice_seconds: float


def fit_baselines(
    names: Sequence[BaselineName],
    train: Interactions,
    validation: Interactions,
    fitted_on: Interactions,
    examples: TransformedExamples,
    seed: int,
    config: BaselinesConfig = _DEFAULTS,
) -> dict[str, Scorer]:
    """Fit baselines, each with the hyperparameters that are best on the validation part.

    All are held at once; where memory is short, give one name at a time.

    Args:
        names: Which ones.
        train: What they are fitted on while hyperparameters are chosen.
        validation: What these are chosen by, NDCG@10; known users and movies only. May be without ratings.
        fitted_on: What they are fitted on in the end: what the model they are compared with was fitted on.
        examples: Counts users and movies.
        seed: Of what is random in them.
        config: The values to choose from.

    Returns:
        The scorer of each name, for the users of `examples`.

    Raises:
        TrainingError: a baseline would take more memory than it may.
    """
    return {
        name: fit_baseline(name, train, validation, fitted_on, examples, seed, config).scorer
        for name in names
    }


def fit_baseline(
    name: BaselineName,
    train: Interactions,
    validation: Interactions,
    fitted_on: Interactions,
    examples: TransformedExamples,
    seed: int,
    config: BaselinesConfig = _DEFAULTS,
) -> FittedBaseline:
    """Fit one baseline and tell how: see `fit_baselines`."""
    began = time.perf_counter()
    choices = _choices(name, config)
    best = choices[0]
    if len(choices) > 1 and len(validation):
        seen, relevant = (History.of(part, examples.n_users) for part in (train, validation))
        reached = []
        for choice in choices:
            scorer = _fit(name, choice, train, examples, seed, config)
            quality = evaluate_ranking(
                scorer, seen=seen, relevant=relevant, n_movies=examples.n_movies, ks=(10,), intervals=False
            )
            reached.append(quality.means["ndcg@10"])
            logger.info("%s with %s: NDCG@10 of the validation part %.4f", name, _told(choice), reached[-1])
        best = choices[reached.index(max(reached))]
    chosen = time.perf_counter()
    scorer = _fit(name, best, fitted_on, examples, seed, config)
    fitted = time.perf_counter()
    logger.info("%s%s: fitted in %.1f s", name, f" with {_told(best)}" if best else "", fitted - chosen)
    return FittedBaseline(scorer, best, fitted - chosen, chosen - began)


def _choices(name: BaselineName, config: BaselinesConfig) -> list[dict[str, Any]]:
    """Every combination of a baseline's values, that of the first values first."""
    values: dict[str, Sequence[Any]]
    match name:
        case "most_popular":
            values = {}
        case "recently_popular":
            values = {"days": config.recently_popular.days}
        case "item_knn":
            values = {"neighbours": config.item_knn.neighbours, "shrinkage": config.item_knn.shrinkage}
        case "ease":
            values = {"regularization": config.ease.regularization}
        case "ials":
            values = config.ials.model_dump(include={"factors", "regularization", "alpha"})
    return [dict(zip(values, choice, strict=True)) for choice in product(*values.values())]


def _fit(
    name: BaselineName,
    choice: dict[str, Any],
    interactions: Interactions,
    examples: TransformedExamples,
    seed: int,
    config: BaselinesConfig,
) -> Scorer:
    history, n_movies = History.of(interactions, examples.n_users), examples.n_movies
    match name:
        case "most_popular":
            return most_popular(history, n_movies)
        case "recently_popular":
            return recently_popular(interactions, n_movies, **choice)
        case "item_knn":
            return item_knn(history, n_movies, **choice)
        case "ease":
            return ease(history, n_movies, memory_gb=config.ease.memory_gb, **choice)
        case "ials":
            return ials(history, n_movies, iterations=config.ials.iterations, seed=seed, **choice)


def _told(choice: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value:g}" for name, value in choice.items())
