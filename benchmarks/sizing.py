"""How large each part gets with the ratings: measured at 25 million, extrapolated beyond.

Prints the table of docs/scaling.md: `python -m benchmarks.sizing`.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_MEBIBYTE_GB: Final = 2**20 / 1e9
RESULTS: Final = Path(__file__).parent / "results"
SIZES: Final = (25_000_095, 100_000_000, 1_000_000_000, 10_000_000_000)

USERS, MOVIES = 162_541, 62_423
"""Of MovieLens 25M."""
DISK_BYTES: Final = 160
"""A rating takes in one run: csv 27, examples 11, transformed examples 12, vectors, histories and
recommendations 14, the models 23 and 16 more in MLflow, the release 53, and some for charts. Of a run over 25
million made-up ratings."""
DIMENSION: Final = 128
VECTOR_OVERHEAD: Final = 1.5
"""Qdrant's own rule: vectors times 1.5 for graph and fields."""
WORKER_BASE_GB: Final = 0.25
"""Of a worker with a release of MovieLens 100K."""
EPOCHS: Final = 8
REQUESTS_A_DAY: Final = 10
"""Of each user."""
PEAK_OVER_MEAN: Final = 3
UTILISATION: Final = 0.6
"""Of a worker at the peak; the HorizontalPodAutoscaler aims at it, too."""


@dataclass(frozen=True)
class Sizing:
    """What one number of ratings takes. GB are 10^9 bytes."""

    ratings: int
    users: int
    movies: int
    disk_gb: float
    data_core_hours: float
    """Of ExampleGen to Transform on DuckDB."""
    training_core_hours: tuple[float, float]
    """Of all epochs: if they take time by the ratings, and if by the ratings and the catalogue."""
    trainer_gb: float
    evaluation_core_hours: float
    """Of retrieval for every user over the whole catalogue."""
    index_gb: float
    worker_gb: float
    """Of a worker of the service that has read its release."""
    worker_peak_gb: float
    """Of one that reads it."""
    peak_requests: float
    """A second, none of them answered from the cache."""
    pods: int
    """Of the service, one worker each."""


def sizing(ratings: int) -> Sizing:
    """What so many ratings take.

    Each user has as many ratings as in MovieLens 25M; movies grow with the square root of the ratings.
    """
    data, training, evaluation, serving = map(_read, ("data-path-25m", "training", "evaluation", "serving"))
    growth = ratings / SIZES[0]
    users, movies = round(USERS * growth), round(MOVIES * math.sqrt(growth))
    smaller, larger = training["scaling"][-2:]
    trainer_slope = (larger["peak_gb"] - smaller["peak_gb"]) / (larger["ratings"] - smaller["ratings"])
    epochs = EPOCHS * larger["epoch_seconds"] * _cores(training) * growth
    lists = evaluation["seconds"] * _cores(evaluation)
    worker_gb = WORKER_BASE_GB + (serving["worker_mb"] * _MEBIBYTE_GB - WORKER_BASE_GB) * growth
    requests = users * REQUESTS_A_DAY * PEAK_OVER_MEAN / 86_400
    return Sizing(
        ratings=ratings,
        users=users,
        movies=movies,
        disk_gb=ratings * DISK_BYTES / 1e9,
        data_core_hours=data["seconds"] * _cores(data) * growth / 3600,
        training_core_hours=(epochs / 3600, epochs * math.sqrt(growth) / 3600),
        trainer_gb=larger["peak_gb"] + trainer_slope * (ratings - larger["ratings"]),
        evaluation_core_hours=lists * growth * math.sqrt(growth) / 3600,
        index_gb=movies * DIMENSION * 4 * VECTOR_OVERHEAD / 1e9,
        worker_gb=worker_gb,
        worker_peak_gb=worker_gb * serving["megabytes"]["peak"] / serving["worker_mb"],
        peak_requests=requests,
        pods=max(2, math.ceil(requests / (serving["uncached_rps"] * UTILISATION))),
    )


def table() -> str:
    """The table of docs/scaling.md, as Markdown."""
    rows = [
        ("", *(f"{size / 1e6:,.0f} million" for size in SIZES)),
        ("---", *("---:" for _ in SIZES)),
    ]
    sizes = [sizing(size) for size in SIZES]
    rows += [
        ("users", *(f"{each.users:,}" for each in sizes)),
        ("movies", *(f"{each.movies:,}" for each in sizes)),
        ("disk of one run", *(f"{each.disk_gb:,.0f} GB" for each in sizes)),
        ("data steps, core hours", *(f"{each.data_core_hours:,.2f}" for each in sizes)),
        (
            f"training, {EPOCHS} epochs, core hours",
            *("{:,.1f} to {:,.1f}".format(*each.training_core_hours) for each in sizes),
        ),
        ("Trainer's memory", *(f"{each.trainer_gb:,.0f} GB" for each in sizes)),
        ("evaluation of every user, core hours", *(f"{each.evaluation_core_hours:,.2f}" for each in sizes)),
        ("Qdrant index, each copy", *(f"{each.index_gb:,.2f} GB" for each in sizes)),
        (
            "an API worker's memory, while it reads",
            *(f"{each.worker_gb:,.1f} GB, {each.worker_peak_gb:,.1f} GB" for each in sizes),
        ),
        ("requests a second at the peak", *(f"{each.peak_requests:,.0f}" for each in sizes)),
        ("API pods", *(f"{each.pods}" for each in sizes)),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _read(name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return result


def _cores(result: dict[str, Any]) -> int:
    return int(result["machine"]["cores"])


if __name__ == "__main__":
    print(table())
