"""What each test user got, kept with a release so that the next model can be compared user by user."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from recommender.data.columns import Columns
from recommender.evaluation.bootstrap import bootstrap_means, percentile_interval
from recommender.evaluation.comparison import Interval

PER_USER_FILE: Final = "per_user.parquet"
"""`user_id` int64, ascending, and each metric that is a mean over users, float32, such as `ndcg@10`."""


def write_per_user(
    user_ids: npt.NDArray[np.int64], values: Mapping[str, npt.NDArray[np.float64]], folder: Path
) -> None:
    """Write `per_user.parquet`.

    Args:
        user_ids: int64 [users], of the test users, ascending.
        values: Each metric, float64 [users].
        folder: Where to.
    """
    columns = {name: value.astype(np.float32) for name, value in values.items()}
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        pa.table({Columns.USER_ID: user_ids, **columns}), folder / PER_USER_FILE, compression="zstd"
    )


def paired_differences(
    user_ids: npt.NDArray[np.int64],
    values: Mapping[str, npt.NDArray[np.float64]],
    other: Path,
    seed: int,
) -> dict[str, Interval] | None:
    """The 95 % intervals of a model's means minus another's, by the paired bootstrap.

    Args:
        user_ids: int64 [users], of the model's test users, ascending.
        values: Each metric of the model, float64 [users].
        other: The folder that has the other's `per_user.parquet`.
        seed: Of the resampling.

    Returns:
        By metric, those that both have; None where the other kept nothing, or was judged on other users.
    """
    file = other / PER_USER_FILE
    try:
        theirs = pq.read_table(file)
    except (OSError, pa.ArrowException):
        return None
    if Columns.USER_ID not in theirs.column_names or not np.array_equal(
        theirs[Columns.USER_ID].to_numpy(), user_ids
    ):
        return None
    names = [name for name in values if name in theirs.column_names]
    # Both as they are kept, so that a model has no difference from itself.
    differences = np.column_stack(
        [
            values[name].astype(np.float32).astype(np.float64) - theirs[name].to_numpy().astype(np.float64)
            for name in names
        ]
    )
    low, high = percentile_interval(bootstrap_means(differences, seed))
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(names)}
