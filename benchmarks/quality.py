"""How good the models are beside real baselines, on the same split in one run.

    python -m benchmarks.quality --dataset 100k --protocol p-random --seeds 3 > result.json

One JSON object on standard output, progress on standard error. Each seed draws another split (time protocols
have only one) and other initial weights. The models' hyperparameters are those of the shipped configuration;
the baselines' are chosen on the validation part, like the number of epochs; the test part is looked at once
for each model. `--cold` measures new users and new movies instead: see `benchmarks.cold_start`.
"""

import json
import logging
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
import typer

from benchmarks.circumstances import circumstances
from benchmarks.cold_start import cold_start
from pipelines.config import read_config
from recommender.data.protocols import PROTOCOLS, Protocol
from recommender.data.sources import ExampleGenConfig, ingest
from recommender.evaluation.baselines import BASELINES, fit_baseline
from recommender.evaluation.evaluator import RankingQuality, Scorer, dot_product, evaluate_ranking
from recommender.evaluation.relevant import relevant_ratings
from recommender.features.transform import TransformConfig, transform
from recommender.features.transformed_examples import History, TransformedExamples
from recommender.retrieval.candidate_features import CandidateFeatures
from recommender.retrieval.re_rank import two_stage
from recommender.training.configuration import TrainerConfig

logger = logging.getLogger("recommender.benchmarks.quality")

SHARED: Final = {"1m": Path("../shared/data/ml-1m.zip")}
"""Where a data set may lie already, seen from the repository."""


def main(
    dataset: Annotated[Literal["100k", "1m"], typer.Option(help="Which MovieLens.")] = "100k",
    protocol: Annotated[
        Literal["p-random", "p-time-user", "p-time-global", "p-recbole", "p-ms"],
        typer.Option(help="What is split how."),
    ] = "p-random",
    seeds: Annotated[int, typer.Option(help="How many seeds, counted from 0.", min=1)] = 3,
    cold: Annotated[bool, typer.Option("--cold", help="Measure new users and new movies instead.")] = False,
    data: Annotated[
        Path | None, typer.Option(help="Folder or .zip of the data set; else it is looked for and fetched.")
    ] = None,
    root: Annotated[Path, typer.Option(help="Downloads are kept here.")] = Path("var"),
) -> None:
    """Compare the models with every baseline."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    config = read_config(Path(f"ml-{dataset}"))
    chosen = next(each for each in PROTOCOLS if each.option == protocol)
    with tempfile.TemporaryDirectory() as scratch_name:
        scratch = Path(scratch_name)
        source = _source(dataset, data, config.example_gen)
        report = ingest(source, scratch / "examples", root / "downloads")
        result: dict[str, Any] = {"dataset": dataset, "source": report.source, "seeds": list(range(seeds))}
        arguments = f"--dataset {dataset} --seeds {seeds}"
        if cold:
            result["cold"] = cold_start(scratch / "examples", config.trainer, range(seeds), scratch)
            arguments += " --cold"
        else:
            runs = [
                _one_seed(scratch / "examples", chosen, config.trainer, seed, scratch / f"seed-{seed}")
                for seed in range(seeds)
            ]
            result |= {"protocol": protocol, **_summary(runs)}
            arguments += f" --protocol {protocol}"
    json.dump(result | circumstances("quality", arguments), sys.stdout, indent=2)
    sys.stdout.write("\n")


def _source(dataset: str, data: Path | None, fetched: ExampleGenConfig) -> ExampleGenConfig:
    shared = SHARED.get(dataset)
    if data is None and shared is not None and shared.is_file():
        data = shared
    return fetched if data is None else ExampleGenConfig(source="directory", path=str(data))


@dataclass(frozen=True)
class _Run:
    """What one seed gave, each by the name of the model."""

    qualities: dict[str, RankingQuality]
    seconds: dict[str, float]
    choice_seconds: dict[str, float]
    hyperparameters: dict[str, dict[str, Any]]
    rmse: float


def _one_seed(examples: Path, protocol: Protocol, trainer: TrainerConfig, seed: int, folder: Path) -> _Run:
    from recommender.training.fit import fit
    from recommender.training.fit_ranking import predicted_ratings

    transform(examples, TransformConfig(split=protocol.split), seed, folder)
    data = TransformedExamples(folder)
    train = data.interactions("train")
    validation = data.interactions("validation").known()
    fitted_on = train + validation if protocol.refit else train
    test = relevant_ratings(data.interactions("test"), fitted_on, protocol.split.strategy)
    seen, relevant = (History.of(part, data.n_users) for part in (train + validation, test))

    def quality(name: str, scorer: Scorer) -> RankingQuality:
        measured = evaluate_ranking(scorer, seen=seen, relevant=relevant, n_movies=data.n_movies, seed=seed)
        logger.info("seed %d, %s: NDCG@10 %.4f", seed, name, measured.means["ndcg@10"])
        return measured

    fitted = fit(data, trainer.model_copy(update={"refit": protocol.refit}), seed)
    history = History.of(fitted_on, data.n_users)
    stages = _stages(fitted, seen, history, data, trainer)
    qualities = {name: quality(name, scorer) for name, scorer in stages.items()}
    seconds = {"retrieval": fitted.seconds["retrieval"], "two_stage": sum(fitted.seconds.values())}
    choice_seconds: dict[str, float] = {}
    hyperparameters: dict[str, dict[str, Any]] = {"retrieval": {"epochs": fitted.epochs["retrieval"]}}
    for name in BASELINES:
        baseline = fit_baseline(name, train, validation, fitted_on, data, seed)
        qualities[name] = quality(name, baseline.scorer)
        seconds[name], choice_seconds[name] = baseline.seconds, baseline.choice_seconds
        hyperparameters[name] = dict(baseline.hyperparameters)
    rmse = float(np.sqrt(np.mean((predicted_ratings(fitted.ranking_head, test) - test.rating) ** 2)))
    return _Run(qualities, seconds, choice_seconds, hyperparameters, rmse)


def _stages(
    fitted: Any, seen: History, history: History, data: TransformedExamples, trainer: TrainerConfig
) -> dict[str, Scorer]:
    """The scorers of our models: what retrieval recalls, and what re-ranking makes of it."""
    users, movies = fitted.two_tower.user_vectors(history), fitted.two_tower.movie_vectors()
    retrieval = dot_product(users, movies)
    if fitted.re_ranker is None or trainer.re_ranker is None:
        return {"retrieval": retrieval}
    ranking = fitted.re_ranker.ranking(CandidateFeatures.fit(history, data, trainer.re_ranker))
    candidates = trainer.re_ranker.candidates
    return {
        "retrieval": retrieval,
        "two_stage": two_stage(retrieval, ranking, seen, data.n_movies, candidates),
    }


def _summary(runs: Sequence[_Run]) -> dict[str, Any]:
    models = {name: _means([run.qualities[name] for run in runs]) for name in runs[0].qualities}
    ours = [name for name in models if name not in BASELINES]
    best = max(BASELINES, key=lambda name: models[name]["ndcg@10"])

    def ratio(metric: str, other: str) -> dict[str, float]:
        return {name: models[name][metric] / models[other][metric] for name in ours}

    return {
        "models": models,
        "ratio_to_ease": ratio("ndcg@10", "ease"),
        "ratio_to_most_popular": ratio("ndcg@10", "most_popular"),
        "best_baseline": best,
        "ratio_to_best_baseline": ratio("ndcg@10", best),
        "coverage_ratio_to_ease": ratio("coverage@10", "ease"),
        "rmse": float(np.mean([run.rmse for run in runs])),
        "n_users": [run.qualities["ease"].n_users for run in runs],
        "n_users_left_out": [run.qualities["ease"].n_users_left_out for run in runs],
        "seconds": _mean_of_each([run.seconds for run in runs]),
        "choice_seconds": _mean_of_each([run.choice_seconds for run in runs]),
        "hyperparameters_of_each_seed": [run.hyperparameters for run in runs],
    }


def _means(qualities: Sequence[RankingQuality]) -> dict[str, Any]:
    """Means over the seeds; the interval is the mean of the seeds' bootstrap intervals over users."""
    interval = {
        name: np.mean([quality.intervals[name] for quality in qualities], axis=0).tolist()
        for name in qualities[0].intervals
    }
    return {
        **_mean_of_each([quality.means for quality in qualities]),
        "interval": interval,
        "ndcg@10_of_each_seed": [quality.means["ndcg@10"] for quality in qualities],
    }


def _mean_of_each(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}


if __name__ == "__main__":
    typer.run(main)
