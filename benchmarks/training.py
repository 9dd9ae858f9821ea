"""What training costs, beside the usual input pipeline and beside iALS, and how it grows.

    python -m benchmarks.training > result.json

One JSON object on standard output, progress on standard error. Synthetic ratings are made under `--data` if
they are not there; MovieLens 1M is read from `--ml-1m`, and `time_to_ials` is left out without it.

- `throughput_over_tutorial`: ratings/s of the same towers and the same in-batch softmax, fed by our input and
  by that of the TensorFlow Recommenders tutorials: rows of text ids, shuffled one by one, each looked up in a
  vocabulary. `input_over_tutorial` is the same without a model.
- `time_to_ials`: our seconds from nothing to the validation NDCG@10 of `implicit`'s iALS, with the
  configuration of `ml-1m.yaml`, over the seconds of its fit.
- `scaling`: one epoch of the towers of `ml-25m.yaml`, in a process of its own, with nothing left to choose by
  validation afterwards; `seconds` has validation and what is computed beside the learned vectors, too, and
  `peak_gb` is the most memory that was resident. Beside it the fit of iALS on the same ratings;
  `to_first_validation_over_ials` compares the seconds from nothing to the first validation with it. Both are
  judged by validation ratings: ours by a sample of users, iALS by as many from the first one on.
"""

import json
import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer

from benchmarks.circumstances import circumstances
from benchmarks.own_process import in_own_process, peak_gb
from recommender.data.sources import ExampleGenConfig, ingest
from recommender.data.synthetic import SyntheticConfig, generate
from recommender.features.transform import TransformConfig, transform
from recommender.features.transformed_examples import History, TransformedExamples

logger = logging.getLogger("recommender.benchmarks.training")

SEED: Final = 42
ML_25M_ROWS: Final = 25_000_095
ML_25M_USERS: Final = 162_541
ML_25M_RATED_MOVIES: Final = 59_047
BATCH: Final = 1024
STEPS: Final = 300
"""Of each throughput, after the warm-up."""
WARM_UP: Final = 20
SHUFFLED_ROWS: Final = 100_000
"""As in the tutorials."""


def main(
    sizes: Annotated[str, typer.Option(help="Synthetic ratings of each epoch, with commas.")] = (
        f"1000000,5000000,{ML_25M_ROWS}"
    ),
    data: Annotated[Path, typer.Option(help="Synthetic ratings are kept here.")] = Path("var/benchmarks"),
    ml_1m: Annotated[Path, typer.Option(help="ml-1m.zip.")] = Path("../shared/data/ml-1m.zip"),
) -> None:
    """Measure training."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    rows = [int(size) for size in sizes.split(",")]
    folders = [_synthetic(size, data) for size in rows]
    throughput = _in_a_process(_throughput, folders[0])
    result: dict[str, Any] = {
        "ratios": {
            "throughput_over_tutorial": throughput["ours"] / throughput["tutorial"],
            "input_over_tutorial": throughput["input_ours"] / throughput["input_tutorial"],
        },
        "ratings_per_second": throughput,
    }
    if ml_1m.is_file():
        to_ials = _in_a_process(_time_to_ials, _movielens_1m(ml_1m, data))
        result["time_to_ials"] = to_ials
        result["ratios"]["time_to_ials"] = to_ials["seconds"] / to_ials["ials_seconds"]
    result["scaling"] = [
        _beside_ials({"ratings": size, **_in_a_process(_epoch, folder), **_in_a_process(_ials, folder)})
        for size, folder in zip(rows, folders, strict=True)
    ]
    arguments = f"--sizes {sizes}"
    json.dump(result | circumstances("training", arguments), sys.stdout, indent=2)
    sys.stdout.write("\n")


def _synthetic(rows: int, data: Path) -> Path:
    """Made-up ratings in the proportions of MovieLens 25M, transformed."""
    folder = data / f"training-{rows}"
    if not (folder / "transformed").is_dir():
        logger.info("making %s ratings", f"{rows:,}")
        config = SyntheticConfig(
            n_users=max(2, rows * ML_25M_USERS // ML_25M_ROWS),
            n_movies=min(ML_25M_RATED_MOVIES, max(200, rows // 20)),
            n_ratings=rows,
        )
        generate(config, SEED, folder / "ratings")
        _transformed(folder / "ratings", folder)
    return folder / "transformed"


def _movielens_1m(archive: Path, data: Path) -> Path:
    folder = data / "training-ml-1m"
    if not (folder / "transformed").is_dir():
        _transformed(archive, folder)
    return folder / "transformed"


def _transformed(source: Path, folder: Path) -> None:
    ingest(ExampleGenConfig(source="directory", path=str(source)), folder / "examples", folder / "downloads")
    transform(folder / "examples", TransformConfig(), SEED, folder / "transformed")


def _in_a_process(work: Any, *arguments: Any) -> dict[str, float]:
    figures: dict[str, float] = in_own_process(work, *arguments)
    logger.info("%s: %s", work.__name__.strip("_"), json.dumps(figures))
    return figures


def _throughput(folder: Path) -> dict[str, float]:
    import tensorflow as tf

    from recommender.features.configuration import InputConfig
    from recommender.features.input import rating_batches
    from recommender.models.configuration import TwoTowerConfig, UserTowerConfig
    from recommender.models.two_tower import TwoTowerModel

    examples = TransformedExamples(folder)
    train = examples.interactions("train").known()
    counts = np.bincount(train.movie_index, minlength=examples.n_movies)
    towers = TwoTowerConfig(
        dimension=32,
        loss="in_batch_softmax",
        user_tower=UserTowerConfig(use_id=True, use_history=False),
    )
    inputs = {
        "ours": lambda: rating_batches(
            examples, ("train",), BATCH, InputConfig(), SEED, history=False
        ).repeat(),
        "tutorial": lambda: _tutorial_input(examples).repeat(),
    }
    figures: dict[str, float] = {}
    for name, make in inputs.items():
        figures[f"input_{name}"] = _rate(iter(make()), tuple)
        model = TwoTowerModel(towers, examples, counts)
        model.compile(optimizer=tf.keras.optimizers.Adagrad(0.1))
        step: Any = tf.function(lambda batch, model=model: model.train_step(_without_history(batch)))
        figures[name] = _rate(iter(make()), step)
    return figures


def _without_history(batch: dict[str, Any]) -> dict[str, Any]:
    """As in the tutorials, nothing is known of the user but the rated movie."""
    import tensorflow as tf

    n = tf.shape(batch["movie_index"])[0]
    return {
        **batch,
        "history": tf.RaggedTensor.from_row_lengths(tf.zeros([0], tf.int32), tf.zeros([n], tf.int32)),
        "history_rating": tf.RaggedTensor.from_row_lengths(tf.zeros([0]), tf.zeros([n], tf.int32)),
    }


def _rate(batches: Iterator[Any], use: Any) -> float:
    for _ in range(WARM_UP):
        use(next(batches))
    began = time.perf_counter()
    for _ in range(STEPS):
        use(next(batches))
    return STEPS * BATCH / (time.perf_counter() - began)


def _tutorial_input(examples: TransformedExamples) -> Any:
    """Rows as tensorflow-datasets gives them: ids are texts, shuffled and looked up one at a time."""
    import tensorflow as tf

    train = examples.interactions("train").known()
    users = tf.keras.layers.StringLookup(vocabulary=examples.user_ids.astype(str), num_oov_indices=0)
    movies = tf.keras.layers.IntegerLookup(vocabulary=examples.movie_ids, num_oov_indices=0)
    rows = {
        "user_id": examples.user_ids[train.user_index].astype(str),
        "movie_id": examples.movie_ids[train.movie_index],
        "user_rating": train.rating,
    }
    return (
        tf.data.Dataset.from_tensor_slices(rows)
        .shuffle(SHUFFLED_ROWS, seed=SEED, reshuffle_each_iteration=False)
        .map(
            lambda row: {
                "user_index": tf.cast(users(row["user_id"]), tf.int32),
                "movie_index": tf.cast(movies(row["movie_id"]), tf.int32),
                "rating": row["user_rating"],
            }
        )
        .batch(BATCH, drop_remainder=True)
        .prefetch(tf.data.AUTOTUNE)
    )


def _time_to_ials(folder: Path) -> dict[str, float]:
    import tensorflow as tf

    from pipelines.config import read_config
    from recommender.evaluation.baselines.ials import ials
    from recommender.evaluation.evaluator import evaluate_ranking
    from recommender.training.fit_retrieval import fit_retrieval

    examples = TransformedExamples(folder)
    seen = History.of(examples.interactions("train").known(), examples.n_users)
    relevant = History.of(examples.interactions("validation").known(), examples.n_users)
    began = time.perf_counter()
    scorer = ials(
        seen, examples.n_movies, factors=64, regularization=30.0, alpha=5.0, iterations=15, seed=SEED
    )
    ials_seconds = time.perf_counter() - began
    quality = evaluate_ranking(
        scorer, seen=seen, relevant=relevant, n_movies=examples.n_movies, ks=(10,), intervals=False
    )
    goal = quality.means["ndcg@10"]

    class UntilGoal(tf.keras.callbacks.Callback):
        seconds = float("inf")
        reached = 0.0

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.reached = max(self.reached, logs["val_ndcg@10"])
            if logs["val_ndcg@10"] >= goal:
                self.seconds = min(self.seconds, time.perf_counter() - began)
                self.model.stop_training = True

    until = UntilGoal()
    config = read_config(Path("ml-1m")).trainer
    train, validation = (examples.interactions(part).known() for part in ("train", "validation"))
    began = time.perf_counter()
    fit_retrieval(examples, config, SEED, ("train",), train, validation, config.epochs, [until])
    if not np.isfinite(until.seconds):
        raise SystemExit(f"never reached iALS's {goal:.4f}, but {until.reached:.4f}")
    return {
        "seconds": until.seconds,
        "ials_seconds": ials_seconds,
        "ials_ndcg@10": goal,
        "ndcg@10": until.reached,
    }


def _epoch(folder: Path) -> dict[str, float]:
    import tensorflow as tf

    from pipelines.config import read_config
    from recommender.training.fit_retrieval import fit_retrieval

    examples = TransformedExamples(folder)
    train, validation = (examples.interactions(part).known() for part in ("train", "validation"))
    config = read_config(Path("ml-25m")).trainer
    user_tower = config.model.user_tower.model_copy(update={"half_lives": ()})
    model = config.model.model_copy(update={"user_tower": user_tower, "recent_popularity": None})
    config = config.model_copy(update={"epochs": 1, "model": model})

    class Clock(tf.keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            self.began = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.validated, self.ndcg = time.perf_counter(), logs["val_ndcg@10"]

    clock = Clock()
    began = time.perf_counter()
    fit_retrieval(examples, config, SEED, ("train",), train, validation, 1, [clock])
    return {
        "epoch_seconds": clock.validated - clock.began,
        "first_validation_seconds": clock.validated - began,
        "seconds": time.perf_counter() - began,
        "ndcg@10": clock.ndcg,
        "peak_gb": peak_gb(),
    }


def _ials(folder: Path) -> dict[str, float]:
    from recommender.evaluation.baselines.ials import ials
    from recommender.evaluation.evaluator import evaluate_ranking
    from recommender.training.configuration import TrainerConfig

    examples = TransformedExamples(folder)
    seen, relevant = (
        History.of(examples.interactions(part).known(), examples.n_users) for part in ("train", "validation")
    )
    began = time.perf_counter()
    scorer = ials(
        seen, examples.n_movies, factors=64, regularization=30.0, alpha=5.0, iterations=15, seed=SEED
    )
    seconds = time.perf_counter() - began
    users = min(examples.n_users, TrainerConfig().validation_users)
    quality = evaluate_ranking(
        scorer,
        seen=seen.rows(0, users),
        relevant=relevant.rows(0, users),
        n_movies=examples.n_movies,
        ks=(10,),
        intervals=False,
    )
    return {"ials_seconds": seconds, "ials_ndcg@10": quality.means["ndcg@10"]}


def _beside_ials(row: dict[str, float]) -> dict[str, float]:
    return {**row, "to_first_validation_over_ials": row["first_validation_seconds"] / row["ials_seconds"]}


if __name__ == "__main__":
    typer.run(main)
