"""Releases in which nothing but the manifest matters."""

import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recommender.release import HISTORY_SCHEMA, MOVIES_SCHEMA, PARTS, USERS_SCHEMA, write_release

_OTHERS = {f"{name}@10": 0.25 for name in ("precision", "hit_rate", "map", "coverage")}


def small_release(releases: Path, **manifest: Any) -> str:
    """Write one and return its version; the manifest's fields are given, or invented."""
    invented: dict[str, Any] = {
        "dataset": "invented",
        "config": {"run": {"name": "small", "seed": 1}, "trainer": {"epochs": 3}},
        "seed": 1,
        "git_commit": None,
        "libraries": {"numpy": "2.0"},
        "data": {},
        "counts": {"users": 2, "movies": 3, "ratings": 4},
        "dimension": 2,
        "metrics": {},
    }
    whole = invented | manifest
    with tempfile.TemporaryDirectory() as folder:
        return write_release(
            releases, _parts(Path(folder), **whole["counts"], dimension=whole["dimension"]), whole
        )


def _parts(folder: Path, users: int, movies: int, ratings: int, dimension: int) -> dict[str, Path]:
    """Tables of so many rows, and files that nobody looks into."""
    parts = {name: folder / name for name in PARTS}
    user_ids, movie_ids = list(range(users)), list(range(movies))
    rated = [(user, movie) for user in user_ids for movie in movie_ids][:ratings]
    tables = {
        "movies.parquet": pa.table(
            {
                "movie_id": movie_ids,
                "title": ["A title"] * movies,
                "genres": [[]] * movies,
                "release_year": [None] * movies,
                "tags": [[]] * movies,
                "rating_count": [0] * movies,
                "rating_mean": [None] * movies,
                "embedding": [[0.0] * dimension] * movies,
            },
            schema=MOVIES_SCHEMA,
        ),
        "users.parquet": pa.table([user_ids, [0] * users, [[0.0] * dimension] * users], schema=USERS_SCHEMA),
        "history.parquet": pa.table(
            [
                [user for user, _ in rated],
                [movie for _, movie in rated],
                [3.0] * len(rated),
                [0] * len(rated),
            ],
            schema=HISTORY_SCHEMA,
        ),
    }
    for name, path in parts.items():
        if name in tables:
            pq.write_table(tables[name], path)
        else:
            path.write_text("whatever")
    return parts


def judged(ndcg: float, **more: Any) -> dict[str, Any]:
    """What a manifest says of a model of that NDCG@10, judged on one test part."""
    return {
        "protocol": "P-random",
        "test_sha256": "a" * 64,
        "models": {"retrieval": {"ndcg@10": ndcg, "recall@10": ndcg / 2, **_OTHERS}},
        "baselines": {},
        "ranking": {"rmse": 0.9},
        "intervals": {"retrieval": {"ndcg@10": (ndcg - 0.01, ndcg + 0.01)}},
        "validation": {},
        "n_users": 2,
        "n_users_left_out": 0,
        "n_movies": 3,
        **more,
    }
