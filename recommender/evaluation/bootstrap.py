"""How far a mean over users may be off: resampling of users (Efron 1979)."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SAMPLES = 1000
"""Times the users are drawn anew."""

_BLOCK_ELEMENTS = 2**23
"""Counts of users held at a time: 64 MiB."""


def bootstrap_means(values: Floats, seed: int, n_samples: int = SAMPLES) -> Floats:
    """The means of users drawn anew, as many as there are, with replacement.

    The same number of users and the same seed draw the same users: the differences between two models' means
    are then those of a paired bootstrap.

    Args:
        values: float64 [users, columns]; NaN where a user does not count for a column.
        seed: Of the resampling.
        n_samples: Times the users are drawn anew, the same ones for every column.

    Returns:
        float64 [n_samples, columns]; NaN where nobody was drawn who counts.
    """
    generator = np.random.default_rng(seed)
    n_users = len(values)
    missing = np.isnan(values)
    counted = ~missing if missing.any() else None
    filled = np.where(missing, 0.0, values) if counted is not None else values
    present = None if counted is None else counted.astype(np.float64)
    means = np.empty((n_samples, values.shape[1]))
    block = max(1, _BLOCK_ELEMENTS // n_users)
    for start in range(0, n_samples, block):
        stop = min(start + block, n_samples)
        # How often each user was drawn is all that a mean needs: no copy of the values is made.
        times = np.empty((stop - start, n_users))
        for row in times:
            row[:] = np.bincount(generator.integers(0, n_users, n_users), minlength=n_users)
        with np.errstate(invalid="ignore"):
            means[start:stop] = times @ filled / (n_users if present is None else times @ present)
    return means


def percentile_interval(samples: Floats) -> Floats:
    """The 95 % interval of what was drawn, the 2.5th and the 97.5th percentile.

    Args:
        samples: float64 [n_samples, columns], or [n_samples]; NaN is passed over.

    Returns:
        float64 [2, columns], or [2].
    """
    bounds: Floats = np.nanpercentile(samples, [2.5, 97.5], axis=0)
    return bounds
