"""What the plan expects of a model, to be shown beside what it reached."""

from typing import Final

EXPECTED_PROTOCOL: Final = "P-random"
EXPECTED_DATA: Final = "MovieLens 25M"
"""What the ranges are for; on other ratings they only say what is usual."""

EXPECTED: Final[dict[str, tuple[float, float | None]]] = {
    "recall@10": (0.20, 0.28),
    "precision@10": (0.35, 0.45),
    "ndcg@10": (0.35, 0.48),
    # A model whose precision is in range has a hit rate near 0.93: the plan's 0.85 is no bound.
    "hit_rate@10": (0.75, None),
    "map@10": (0.22, 0.32),
    "coverage@10": (0.30, 0.40),
}
"""The range of each metric, None for no upper end."""


def verdict(metric: str, value: float) -> str:
    """`in range`, `below` or `above` what the plan expects of a metric."""
    low, high = EXPECTED[metric]
    if value < low:
        return "below"
    return "above" if high is not None and value > high else "in range"
