"""How good the models are beside real baselines, on the same split in one run.

    python -m benchmarks.quality --dataset 100k --protocol p-random --seeds 3 > result.json

One JSON object on standard output, progress on standard error. Each seed draws another split and other
initial weights. Hyperparameters are those of the shipped configuration; EASE's regularisation is chosen on
the validation part, like the towers' number of epochs; the test part is looked at once for each model.
"""

import json
import logging
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer

from benchmarks.circumstances import circumstances
from pipelines.config import read_config
from recommender.data.sources import ingest
from recommender.evaluation.baselines import ease, most_popular
from recommender.evaluation.evaluator import RankingQuality, Scorer, dot_product, evaluate_ranking
from recommender.features.transform import transform
from recommender.features.transformed_examples import History, TransformedExamples

logger = logging.getLogger("recommender.benchmarks.quality")

EASE_REGULARIZATION = (50.0, 100.0, 200.0, 300.0, 500.0, 800.0, 1200.0)


def main(
    dataset: Annotated[Literal["100k"], typer.Option(help="MovieLens 100K.")] = "100k",
    protocol: Annotated[Literal["p-random"], typer.Option(help="80/20 within each user.")] = "p-random",
    seeds: Annotated[int, typer.Option(help="How many seeds, counted from 0.", min=1)] = 3,
    root: Annotated[Path, typer.Option(help="Downloads are kept here.")] = Path("var"),
) -> None:
    """Compare retrieval with EASE and most popular."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    config = read_config(Path(f"ml-{dataset}"))
    runs: list[dict[str, RankingQuality]] = []
    rmse: list[float] = []
    seconds: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as scratch:
        examples = Path(scratch) / "examples"
        report = ingest(config.example_gen, examples, root / "downloads")
        for seed in range(seeds):
            folder = Path(scratch) / f"transformed-{seed}"
            transform(examples, config.transform, seed, folder)
            qualities, error, took = _one_seed(TransformedExamples(folder), config.trainer, seed)
            runs.append(qualities)
            rmse.append(error)
            seconds.append(took)
            logger.info(
                "seed %d: %s", seed, {name: round(q.means["ndcg@10"], 4) for name, q in qualities.items()}
            )
    models = {name: _summary([run[name] for run in runs]) for name in runs[0]}
    ndcg = {name: summary["ndcg@10"] for name, summary in models.items()}
    result = {
        "dataset": dataset,
        "source": report.source,
        "protocol": protocol,
        "seeds": list(range(seeds)),
        "models": models,
        "ratio_to_ease": {"retrieval": ndcg["retrieval"] / ndcg["ease"]},
        "ratio_to_most_popular": {"retrieval": ndcg["retrieval"] / ndcg["most_popular"]},
        "coverage_ratio_to_ease": models["retrieval"]["coverage@10"] / models["ease"]["coverage@10"],
        "rmse": float(np.mean(rmse)),
        "seconds": {name: float(np.mean([took[name] for took in seconds])) for name in seconds[0]},
        **circumstances("quality", f"--dataset {dataset} --protocol {protocol} --seeds {seeds}"),
    }
    json.dump(result, sys.stdout, indent=2)
    sys.stdout.write("\n")


def _one_seed(
    data: TransformedExamples, config: Any, seed: int
) -> tuple[dict[str, RankingQuality], float, dict[str, float]]:
    from recommender.models.ranking_head import RankingHead
    from recommender.training.fit import fit

    train = data.interactions("train")
    validation = data.interactions("validation").known()
    test = data.interactions("test").known()
    fitted_on = History.of(train + validation, data.n_users)
    seconds: dict[str, float] = {}

    def timed(name: str, make: Any) -> Any:
        began = time.perf_counter()
        made = make()
        seconds[name] = time.perf_counter() - began
        return made

    fitted = timed("retrieval", lambda: fit(data, config, seed))
    users, movies = fitted.two_tower.user_vectors(fitted_on), fitted.two_tower.movie_vectors()
    head: RankingHead = fitted.ranking_head
    predicted = head(
        {
            "user_index": test.user_index,
            "movie_index": test.movie_index,
            "user_vector": users[test.user_index],
            "movie_vector": movies[test.movie_index],
        }
    ).numpy()
    scorers: dict[str, Scorer] = {
        "retrieval": dot_product(users, movies),
        "ease": timed("ease", lambda: _best_ease(train, validation, fitted_on, data)),
        "most_popular": most_popular(fitted_on, data.n_movies),
    }
    relevant = History.of(test, data.n_users)
    qualities = {
        name: evaluate_ranking(scorer, seen=fitted_on, relevant=relevant, n_movies=data.n_movies, seed=seed)
        for name, scorer in scorers.items()
    }
    return qualities, float(np.sqrt(np.mean((predicted - test.rating) ** 2))), seconds


def _best_ease(train: Any, validation: Any, fitted_on: History, data: TransformedExamples) -> Scorer:
    seen, relevant = History.of(train, data.n_users), History.of(validation, data.n_users)

    def validation_ndcg(regularization: float) -> float:
        quality = evaluate_ranking(
            ease(seen, data.n_movies, regularization),
            seen=seen,
            relevant=relevant,
            n_movies=data.n_movies,
            ks=(10,),
            intervals=False,
        )
        return quality.means["ndcg@10"]

    best = max(EASE_REGULARIZATION, key=validation_ndcg)
    logger.info("EASE: regularisation %g was best on the validation part", best)
    return ease(fitted_on, data.n_movies, best)


def _summary(qualities: list[RankingQuality]) -> dict[str, Any]:
    """Means over the seeds; the interval is the mean of the seeds' bootstrap intervals over users."""
    means: dict[str, Any] = {
        name: float(np.mean([quality.means[name] for quality in qualities])) for name in qualities[0].means
    }
    interval = {
        name: np.mean([quality.intervals[name] for quality in qualities], axis=0).tolist()
        for name in qualities[0].intervals
    }
    return {**means, "interval": interval, "ndcg@10_of_each_seed": [q.means["ndcg@10"] for q in qualities]}


if __name__ == "__main__":
    typer.run(main)
