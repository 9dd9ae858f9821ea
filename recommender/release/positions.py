"""Where numbers stand in ascending ones."""

import numpy as np
from numpy.typing import NDArray


def positions_of(wanted: NDArray[np.int64], ascending: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each wanted number stands in an ascending array, -1 where it does not.

    Args:
        wanted: int64 [n].
        ascending: int64 [m], no number twice.

    Returns:
        int64 [n].
    """
    found = np.searchsorted(ascending, wanted)
    if len(ascending) == 0:
        return np.full(len(wanted), -1, dtype=np.int64)
    matches = ascending[np.minimum(found, len(ascending) - 1)] == wanted
    return np.where(matches, found, -1)


def position_of(ids: NDArray[np.int64], wanted: int) -> int | None:
    """Where one number stands in an ascending array, None where it does not."""
    position = int(np.searchsorted(ids, wanted))
    return position if position < len(ids) and int(ids[position]) == wanted else None
