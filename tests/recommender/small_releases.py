"""Releases in which nothing but the manifest matters."""

from pathlib import Path
from typing import Any

from recommender.release import PARTS, write_release

_OTHERS = {f"{name}@10": 0.25 for name in ("precision", "hit_rate", "map", "coverage")}


def small_release(releases: Path, **manifest: Any) -> str:
    """Write one and return its version; the manifest's fields are given, or invented."""
    releases.mkdir(parents=True, exist_ok=True)
    part = releases.parent / "part"
    part.write_text("whatever")
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
    return write_release(releases, dict.fromkeys(PARTS, part), invented | manifest)


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
