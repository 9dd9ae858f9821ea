"""How fast the vector index is, and how much it finds, beside an exact search by NumPy in one run.

    python -m benchmarks.index > result.json

One JSON object on standard output, progress on standard error. Vectors, genres, years and numbers of ratings
of a catalogue of MovieLens 25M's size are made up: movies lie in neighbourhoods, a user's vector is the sum
of 60 movies of three of them, both of length 1. Of a user's 1,000 seen movies half are among the 3,000 that
fit best, as what people have seen tends to be. Every search is for 100 movies, by one thread; all kinds of
search take turns, 50 vectors at a time, so that whatever else the machine does bears upon each of them, and
each finds what it left in the processor's cache, as in a service. On a machine that does more besides, p10 is
what the search itself takes.
"""

import json
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import typer
from threadpoolctl import threadpool_limits

from benchmarks.circumstances import circumstances
from recommender.data.vector_column import to_column
from recommender.retrieval.build_index import build_index
from recommender.retrieval.configuration import IndexerConfig
from recommender.retrieval.edge_index import EdgeMovieIndex
from recommender.retrieval.exact_index import ExactMovieIndex
from recommender.retrieval.movie_filter import PAYLOAD_FIELDS, MovieFilter
from recommender.retrieval.movie_index import FoundMovies, MovieIndex

logger = logging.getLogger("recommender.benchmarks.index")

SEED: Final = 42
ML_25M_MOVIES: Final = 62_423
DIMENSION: Final = 128
NEIGHBOURHOODS: Final = 200
GENRES: Final = 19
LIMIT: Final = 100
SEEN: Final = 1000
SEEN_AMONG: Final = 3000
BATCH: Final = 64
TURN: Final = 50
"""Searches of a turn."""
FILTERS: Final = {
    "genre": MovieFilter(genres_any=("genre 3",)),
    "genre_and_decade": MovieFilter(genres_any=("genre 3",), year_from=1990, year_to=1999),
    "since_1970": MovieFilter(year_from=1970),
    "without_genre": MovieFilter(genres_none=("genre 3",)),
    "rated_by_50": MovieFilter(min_ratings=50),
}

Vectors = npt.NDArray[np.float32]


def main(
    movies: Annotated[int, typer.Option(help="How many movies.", min=SEEN_AMONG)] = ML_25M_MOVIES,
    searches: Annotated[int, typer.Option(help="How many vectors to search for.", min=100)] = 1000,
) -> None:
    """Measure building and searching the index."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    generator = np.random.default_rng(SEED)
    vectors, queries = _vectors(movies, searches, generator)
    table = _movies(vectors, generator)
    with tempfile.TemporaryDirectory(prefix="marquee-benchmark-") as folder, threadpool_limits(1):
        embeddings, index_folder = Path(folder), Path(folder) / "index"
        pq.write_table(table, embeddings / "movies.parquet")
        pq.write_table(pa.table({"embedding": to_column(queries)}), embeddings / "users.parquet")
        began = time.perf_counter()
        report = build_index(embeddings, IndexerConfig(), index_folder)
        build_seconds = time.perf_counter() - began
        began = time.perf_counter()
        edge = EdgeMovieIndex.open(index_folder)
        open_seconds = time.perf_counter() - began
        ids = table.column("movie_id").to_numpy()
        exact = ExactMovieIndex(ids, vectors, table.select(list(PAYLOAD_FIELDS)).to_pylist())
        result = {
            "movies": movies,
            "dimension": DIMENSION,
            "searches": searches,
            "limit": LIMIT,
            "build_seconds": build_seconds,
            "open_seconds": open_seconds,
            "search_candidates": report.search_candidates,
            **measured(edge, exact, vectors, queries, _seen(vectors, queries, ids, generator), FILTERS),
        }
        edge.close()
    given = {"--movies": (movies, ML_25M_MOVIES), "--searches": (searches, 1000)}
    arguments = " ".join(f"{name} {value}" for name, (value, usual) in given.items() if value != usual)
    json.dump(result | circumstances("index", arguments), sys.stdout, indent=2)
    sys.stdout.write("\n")


def measured(
    edge: EdgeMovieIndex,
    exact: ExactMovieIndex,
    vectors: Vectors,
    queries: Vectors,
    seen: list[list[int]],
    filters: Mapping[str, MovieFilter],
) -> dict[str, Any]:
    """Times and recall of every kind of search.

    Args:
        edge: The index.
        exact: The same movies.
        vectors: Theirs, float32 [movies, dimension].
        queries: What is searched for, float32 [searches, dimension].
        seen: For each search the movie ids that are left out where movies were seen.
        filters: By name; one is `genre`.
    """
    kinds: dict[str, Callable[[int], FoundMovies]] = {
        "hnsw": lambda row: edge.search(queries[row], LIMIT),
        "exact": lambda row: edge.search(queries[row], LIMIT, exact=True),
        "seen_1000": lambda row: edge.search(queries[row], LIMIT, exclude=seen[row]),
        "exact_index": lambda row: exact.search(queries[row], LIMIT),
        "exact_index_seen_1000": lambda row: exact.search(queries[row], LIMIT, exclude=seen[row]),
    }
    for name, wanted in filters.items():
        kinds[f"filter.{name}"] = lambda row, wanted=wanted: edge.search(queries[row], LIMIT, filter=wanted)  # type: ignore[misc]
    kinds["filter.genre_and_seen_1000"] = lambda row: edge.search(
        queries[row], LIMIT, exclude=seen[row], filter=filters["genre"]
    )
    took: dict[str, list[float]] = {name: [] for name in ("numpy", *kinds)}
    found: dict[str, list[FoundMovies]] = {name: [] for name in kinds}
    for start in range(0, len(queries), TURN):
        turn = range(start, min(start + TURN, len(queries)))
        for row in turn:
            began = time.perf_counter()
            _bare(vectors, queries[row])
            took["numpy"].append(time.perf_counter() - began)
        for name, search in kinds.items():
            for row in turn:
                began = time.perf_counter()
                answer = search(row)
                took[name].append(time.perf_counter() - began)
                found[name].append(answer)
        logger.info("%d of %d searches", turn.stop, len(queries))
    batches = {name: _batch_ms(index, queries) for name, index in (("hnsw", edge), ("exact_index", exact))}

    milliseconds = {name: _percentiles(times) for name, times in took.items()}
    wanted_of = {f"filter.{name}": wanted for name, wanted in filters.items()}
    wanted_of["filter.genre_and_seen_1000"] = filters["genre"]
    recall = {
        name: _recall(
            answers,
            exact.search_batch(
                queries, LIMIT, excludes=seen if "seen" in name else None, filter=wanted_of.get(name)
            ),
        )
        for name, answers in found.items()
    }
    plain = milliseconds["hnsw"]["p50"]
    return {
        "recall_at_100": recall["hnsw"],
        "recall": recall,
        "milliseconds": milliseconds,
        "batch_of_64_milliseconds_a_vector": batches,
        "ratios": {
            "search_p50_over_numpy": plain / milliseconds["numpy"]["p50"],
            "search_p10_over_numpy": milliseconds["hnsw"]["p10"] / milliseconds["numpy"]["p10"],
            "seen_1000_over_plain": milliseconds["seen_1000"]["p50"] / plain,
            "seen_1000_over_plain_p10": milliseconds["seen_1000"]["p10"] / milliseconds["hnsw"]["p10"],
        },
    }


def _bare(vectors: Vectors, query: Vectors) -> npt.NDArray[np.int64]:
    """The rows of the best movies, best first: a product, a partition and a sort of the chosen."""
    scores = np.negative(vectors @ query)
    best = np.argpartition(scores, LIMIT)[:LIMIT]
    return best[np.argsort(scores[best])]


def _batch_ms(index: MovieIndex, queries: Vectors) -> float:
    began = time.perf_counter()
    for start in range(0, len(queries) - BATCH + 1, BATCH):
        index.search_batch(queries[start : start + BATCH], LIMIT)
    return 1000 * (time.perf_counter() - began) / (len(queries) // BATCH * BATCH)


def _percentiles(seconds: list[float]) -> dict[str, float]:
    return {f"p{share}": 1000 * float(np.percentile(seconds, share)) for share in (10, 50, 99)}


def _recall(found: list[FoundMovies], wanted: list[FoundMovies]) -> float:
    """The mean share of the wanted movies that were found."""
    shares = [
        len(np.intersect1d(some.movie_ids, best.movie_ids)) / len(best)
        for some, best in zip(found, wanted, strict=True)
    ]
    return float(np.mean(shares))


def _vectors(movies: int, users: int, generator: np.random.Generator) -> tuple[Vectors, Vectors]:
    # Directions weigh less and less, as in learnt vectors.
    spread = (1 + np.arange(DIMENSION)) ** -0.5
    neighbourhood = np.sort(generator.integers(0, NEIGHBOURHOODS, movies))
    centres = generator.normal(size=(NEIGHBOURHOODS, DIMENSION)) * spread
    vectors = centres[neighbourhood] + generator.normal(size=(movies, DIMENSION)) * spread
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    starts = np.searchsorted(neighbourhood, np.arange(NEIGHBOURHOODS + 1))
    tastes = generator.integers(0, NEIGHBOURHOODS, (users, 3, 1))
    rated = generator.integers(starts[tastes], starts[tastes + 1], (users, 3, 20)).reshape(users, -1)
    queries = np.stack([vectors[rows].sum(axis=0) for rows in rated])
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    # Neighbours in space are not neighbours by id.
    return vectors[generator.permutation(movies)].astype(np.float32), queries.astype(np.float32)


def _movies(vectors: Vectors, generator: np.random.Generator) -> pa.Table:
    count = len(vectors)
    has = generator.random((count, GENRES)) < 0.12
    names = np.array([f"genre {number}" for number in range(GENRES)])
    return pa.table(
        {
            # Ids have gaps, as MovieLens's.
            "movie_id": np.cumsum(generator.integers(1, 6, count)),
            "genres": [names[row].tolist() for row in has],
            "release_year": pa.array(generator.integers(1920, 2020, count), pa.int32()),
            "rating_count": (3 * generator.pareto(0.7, count)).astype(np.int64),
            "embedding": to_column(vectors),
        }
    )


def _seen(
    vectors: Vectors, queries: Vectors, ids: npt.NDArray[np.int64], generator: np.random.Generator
) -> list[list[int]]:
    seen = []
    for query in queries:
        best = np.argpartition(-(vectors @ query), SEEN_AMONG)[:SEEN_AMONG]
        liked = generator.choice(best, SEEN // 2, replace=False)
        others = np.setdiff1d(generator.permutation(len(ids))[:SEEN], liked)[: SEEN - len(liked)]
        seen.append(np.sort(ids[np.concatenate([liked, others])]).tolist())
    return seen


if __name__ == "__main__":
    typer.run(main)
