"""How well ratings are predicted, beside a reference, in cross-validation.

    python -m benchmarks.rating_prediction --dataset 100k --folds 5 > result.json

One JSON object on standard output, progress on standard error. All ratings are dealt into folds at random by
the seed; each fold is predicted once, by what was fitted on the others. Hyperparameters are those of the
shipped configuration; the number of epochs is chosen on a tenth of the others, held out, and the head then
fitted on all of them. A user or a movie that the others do not hold is predicted like any other, as unknown.
The reference is the mean with a user's and a movie's bias, regularised as in Koren, "Factor in the Neighbors"
(2010); SVD++'s numbers are those that Surprise publishes for its own random folds.
"""

import json
import logging
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import typer

from benchmarks.circumstances import circumstances
from pipelines.config import read_config
from recommender.data.columns import Columns
from recommender.data.sources import ExampleGenConfig, ingest
from recommender.features.transformed_examples import Interactions
from recommender.training.configuration import TrainerConfig

logger = logging.getLogger("recommender.benchmarks.rating_prediction")

SHARED: Final = {"1m": Path("../shared/data/ml-1m.zip")}
"""Where a data set may lie already, seen from the repository."""
GOAL: Final = {"100k": 0.905, "1m": 0.850}
SVD_PLUS_PLUS: Final = {"100k": 0.919, "1m": 0.862}
MOVIE_BIAS_PRIOR: Final = 25.0
USER_BIAS_PRIOR: Final = 10.0
VALIDATION_SHARE: Final = 0.1

Ratings = npt.NDArray[np.float32]


def main(
    dataset: Annotated[Literal["100k", "1m"], typer.Option(help="Which MovieLens.")] = "100k",
    folds: Annotated[int, typer.Option(help="Parts that the ratings are dealt into.", min=2)] = 5,
    only: Annotated[int | None, typer.Option(help="Predict this many of the folds; else all.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Of the folds, the initial weights and the order.")] = 0,
    data: Annotated[
        Path | None, typer.Option(help="Folder or .zip of the data set; else it is looked for and fetched.")
    ] = None,
    root: Annotated[Path, typer.Option(help="Downloads are kept here.")] = Path("var"),
) -> None:
    """Predict ratings in cross-validation."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    config = read_config(Path("ml-100k"))
    with tempfile.TemporaryDirectory() as scratch:
        report = ingest(_source(dataset, data), Path(scratch), root / "downloads")
        ratings = _ratings(Path(scratch))
    fold = np.random.default_rng(seed).permutation(len(ratings)) % folds
    runs = [
        _one_fold(
            _some(ratings, fold != number), _some(ratings, fold == number), config.trainer, seed, number
        )
        for number in range(min(only or folds, folds))
    ]
    models = {name: _summary([run[name] for run in runs]) for name in runs[0]}
    result = {
        "dataset": dataset,
        "source": report.source,
        "ratings": len(ratings),
        "folds": folds,
        "folds_predicted": len(runs),
        "seed": seed,
        "models": models,
        "published": {"svd++": {"rmse": SVD_PLUS_PLUS[dataset]}},
        "rmse": models["ranking_head"]["rmse"],
        "goal": {"rmse": GOAL[dataset], "reached": models["ranking_head"]["rmse"] <= GOAL[dataset]},
        **circumstances(
            "rating_prediction",
            f"--dataset {dataset} --folds {folds} --seed {seed}" + (f" --only {only}" if only else ""),
        ),
    }
    json.dump(result, sys.stdout, indent=2)
    sys.stdout.write("\n")


def _source(dataset: Literal["100k", "1m"], data: Path | None) -> ExampleGenConfig:
    shared = SHARED.get(dataset)
    if data is None and shared is not None and shared.is_file():
        data = shared
    if data is None:
        return ExampleGenConfig(source="movielens", dataset=dataset)
    return ExampleGenConfig(source="directory", path=str(data))


def _ratings(examples: Path) -> Interactions:
    table = pq.read_table(examples / "ratings.parquet")
    user, movie, rating, timestamp = (
        table.column(name).to_numpy()
        for name in (Columns.USER_ID, Columns.MOVIE_ID, Columns.RATING, Columns.TIMESTAMP)
    )
    user_index, movie_index = (
        np.unique(ids, return_inverse=True)[1].astype(np.int32) for ids in (user, movie)
    )
    return Interactions(user_index, movie_index, rating.astype(np.float32), timestamp)


def _some(ratings: Interactions, chosen: npt.NDArray[np.bool_]) -> Interactions:
    return Interactions(
        ratings.user_index[chosen],
        ratings.movie_index[chosen],
        ratings.rating[chosen],
        ratings.timestamp[chosen],
    )


def _one_fold(
    train: Interactions, test: Interactions, config: TrainerConfig, seed: int, number: int
) -> dict[str, dict[str, float]]:
    qualities = {}
    for name, predict in (("biases", _biases), ("ranking_head", _ranking_head)):
        began = time.perf_counter()
        errors = predict(train, test, config, seed) - test.rating
        qualities[name] = {
            "rmse": float(np.sqrt(np.mean(np.square(errors)))),
            "mae": float(np.mean(np.abs(errors))),
            "seconds": time.perf_counter() - began,
        }
    logger.info("fold %d: %s", number, {name: round(each["rmse"], 4) for name, each in qualities.items()})
    return qualities


def _biases(train: Interactions, test: Interactions, _config: TrainerConfig, _seed: int) -> Ratings:
    """The overall mean, a movie's bias, and a user's bias over what the movie's leaves."""

    def shrunk(index: npt.NDArray[np.int32], values: Ratings, n: int, prior: float) -> Ratings:
        counts = np.bincount(index, minlength=n)
        means: Ratings = (np.bincount(index, values, n) / (counts + prior)).astype(np.float32)
        return means

    n_users, n_movies = _sizes(train, test)
    mean = train.rating.mean()
    movie = shrunk(train.movie_index, train.rating - mean, n_movies, MOVIE_BIAS_PRIOR)
    left = train.rating - mean - movie[train.movie_index]
    user = shrunk(train.user_index, left, n_users, USER_BIAS_PRIOR)
    predicted = mean + movie[test.movie_index] + user[test.user_index]
    return np.clip(predicted, train.rating.min(), train.rating.max())


def _ranking_head(train: Interactions, test: Interactions, config: TrainerConfig, seed: int) -> Ratings:
    from recommender.training.fit import seed_everything
    from recommender.training.fit_ranking import fit_ranking, predicted_ratings

    seed_everything(seed)
    held_out = np.random.default_rng(seed).random(len(train)) < VALIDATION_SHARE
    known, validation = _some(train, ~held_out), _some(train, held_out)
    sizes = _sizes(train, test)
    chosen = fit_ranking(config, seed, *sizes, known, validation, config.ranking.epochs)
    fitted = fit_ranking(config, seed, *sizes, train, validation.none(), chosen.epochs)
    return predicted_ratings(fitted.model, test)


def _sizes(train: Interactions, test: Interactions) -> tuple[int, int]:
    users, movies = ((getattr(train, name), getattr(test, name)) for name in ("user_index", "movie_index"))
    return int(max(each.max() for each in users)) + 1, int(max(each.max() for each in movies)) + 1


def _summary(folds: list[dict[str, float]]) -> dict[str, Any]:
    """Means over the folds, and the folds themselves."""
    means = {name: float(np.mean([fold[name] for fold in folds])) for name in folds[0]}
    return {**means, "of_each_fold": folds}


if __name__ == "__main__":
    typer.run(main)
