"""How fast the evaluator is, beside a bare blocked matrix product and top-k, in one run.

    python -m benchmarks.evaluation > result.json

One JSON object on standard output, progress on standard error. Users, movies, vectors and histories of the
size of MovieLens 25M are made up. Bare and evaluator take turns, some thousand users at a time, so that
whatever else the machine does bears upon both; the bootstrap, which is over all users, comes at the end and
is the evaluator's. `peak_gb` is the most memory that the process had resident, `vectors_gb` what it held
before.
"""

import json
import logging
import sys
import time
from typing import Annotated, Any, Final

import numpy as np
import numpy.typing as npt
import psutil
import typer

from benchmarks.circumstances import circumstances
from benchmarks.own_process import peak_gb
from recommender.evaluation.bootstrap import bootstrap_means
from recommender.evaluation.evaluator import BLOCK_ELEMENTS, dot_product, evaluate_ranking
from recommender.features.transformed_examples import History

logger = logging.getLogger("recommender.benchmarks.evaluation")

SEED: Final = 42
ML_25M_USERS: Final = 162_541
ML_25M_MOVIES: Final = 62_423
ML_25M_RATINGS_A_USER: Final = 154
DIMENSION: Final = 128
GENRES: Final = 20
KS: Final = (5, 10, 20)
TEST_SHARE: Final = 0.2
TURN: Final = 8192
"""Users of a turn."""

Vectors = npt.NDArray[np.float32]


def main(
    users: Annotated[int, typer.Option(help="How many users.", min=2)] = ML_25M_USERS,
    movies: Annotated[int, typer.Option(help="How many movies.", min=200)] = ML_25M_MOVIES,
) -> None:
    """Measure all metrics at 5, 10 and 20 over the whole catalogue."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    generator = np.random.default_rng(SEED)
    user_vectors = generator.normal(size=(users, DIMENSION)).astype(np.float32)
    movie_vectors = generator.normal(size=(movies, DIMENSION)).astype(np.float32)
    genres = (generator.random((movies, GENRES)) < 0.1).astype(np.float32)
    seen, relevant = _histories(users, movies, generator)
    vectors_gb = psutil.Process().memory_info().rss / 1e9

    bare: list[float] = []
    blocks: list[float] = []
    metrics: dict[str, npt.NDArray[np.float64]] = {}
    for turn, start in enumerate(range(0, users, TURN)):
        stop = min(start + TURN, users)

        def evaluator(start: int = start, stop: int = stop) -> None:
            quality = evaluate_ranking(
                dot_product(user_vectors[start:stop], movie_vectors),
                seen=seen.rows(start, stop),
                relevant=relevant.rows(start, stop),
                n_movies=movies,
                ks=KS,
                intervals=False,
                genres=genres,
            )
            for name, values in quality.per_user.items():
                metrics[name] = np.concatenate([metrics.get(name, values[:0]), values])

        def product(start: int = start, stop: int = stop) -> None:
            _bare(user_vectors[start:stop], movie_vectors)

        # Whoever comes second finds the vectors in the processor's cache: they take turns at that, too.
        pair = [(product, bare), (evaluator, blocks)]
        for work, took in pair if turn % 2 == 0 else reversed(pair):
            began = time.perf_counter()
            work()
            took.append(time.perf_counter() - began)
        logger.info("%d users: bare %.1f s, evaluator %.1f s", stop, sum(bare), sum(blocks))

    began = time.perf_counter()
    bootstrap_means(np.column_stack(list(metrics.values())), SEED)
    bootstrap = time.perf_counter() - began
    seconds = sum(blocks) + bootstrap
    result: dict[str, Any] = {
        "users": users,
        "movies": movies,
        "dimension": DIMENSION,
        "ratings": {"seen": len(seen.movie_index), "relevant": len(relevant.movie_index)},
        "metrics": sorted(metrics),
        "seconds": seconds,
        "bootstrap_seconds": bootstrap,
        "bare_seconds": sum(bare),
        "ratios": {"over_bare": seconds / sum(bare)},
        "peak_gb": peak_gb(),
        "vectors_gb": vectors_gb,
    }
    arguments = "" if users == ML_25M_USERS else f"--users {users}"
    json.dump(result | circumstances("evaluation", arguments), sys.stdout, indent=2)
    sys.stdout.write("\n")


def _bare(users: Vectors, movies: Vectors) -> None:
    """Blocks of scores into the same memory, a partition, and the chosen in order."""
    block, k = max(1, BLOCK_ELEMENTS // len(movies)), max(KS)
    scores = np.empty((block, len(movies)), np.float32)
    for start in range(0, len(users), block):
        some = users[start : start + block]
        found = np.matmul(some, movies.T, out=scores[: len(some)])
        # Largest first: a partition at the front takes a fifth of the time of one at the end.
        best = np.argpartition(np.negative(found, out=found), k, axis=1)[:, :k]
        order = np.argsort(np.take_along_axis(found, best, axis=1), axis=1)
        np.take_along_axis(best, order, axis=1)


def _histories(users: int, movies: int, generator: np.random.Generator) -> tuple[History, History]:
    """Ratings as skewed as real ones, over users and over movies; a fifth of them to be predicted."""
    lengths = np.clip(generator.lognormal(4.2, 1.2, users), 20, movies // 4)
    lengths = np.maximum(20, lengths * ML_25M_RATINGS_A_USER / lengths.mean()).astype(np.int64)
    user = np.repeat(np.arange(users), lengths)
    # Pareto-like popularity; a movie that is drawn twice counts once.
    movie = (movies * generator.random(len(user)) ** 4).astype(np.int64)
    pairs = np.unique(user * movies + movie)
    rating = generator.integers(1, 11, len(pairs)).astype(np.float32) / np.float32(2)
    is_test = generator.random(len(pairs)) < TEST_SHARE

    def history(keep: npt.NDArray[np.bool_]) -> History:
        counts = np.bincount(pairs[keep] // movies, minlength=users)
        splits = np.concatenate([[0], np.cumsum(counts)])
        return History(splits, (pairs[keep] % movies).astype(np.int32), rating[keep])

    return history(~is_test), history(is_test)


if __name__ == "__main__":
    typer.run(main)
