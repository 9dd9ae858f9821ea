"""Ratings on disk, read for a range of users at a time."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.dataset as ds

from recommender.data.columns import Columns
from recommender.features.transformed_examples import History, Interactions

_KNOWN = (ds.field(Columns.USER_INDEX) >= 0) & (ds.field(Columns.MOVIE_INDEX) >= 0)


class RatingsByUser:
    """Ratings on disk, of which a range of users can be read whole, wherever row groups end.

    Holds no ratings itself, only their number for each user. Reading is fast because Transform sorts by user:
    the statistics of each row group tell which few of them a range of users needs.

    Args:
        files: `{part}_interactions.parquet` of one or more parts; what they say of a user is put together.
        n_users: Users that training knows. Ratings of other users, and of unknown movies, are passed over.

    Attributes:
        lengths: int64 [users], ratings of each user.
    """

    def __init__(self, files: Sequence[Path], n_users: int) -> None:
        # Read ahead, a whole file's columns would pile up in memory.
        row_group_wise = ds.ParquetFileFormat(pre_buffer=False)
        self._ratings = ds.dataset([str(file) for file in files], format=row_group_wise)
        self.lengths = self._count(n_users)

    def _count(self, n_users: int) -> npt.NDArray[np.int64]:
        counts = np.zeros(n_users, np.int64)
        for batch in self._ratings.to_batches(columns=[Columns.USER_INDEX], filter=_KNOWN):
            users = batch.column(0).to_numpy()
            if len(users):
                first, last = users.min(), users.max()
                counts[first : last + 1] += np.bincount(users - first)
        return counts

    def histories(self, start: int, stop: int) -> History:
        """What users `start` to `stop`, without `stop`, have rated: one row a user, oldest first."""
        user = ds.field(Columns.USER_INDEX)
        table = self._ratings.to_table(
            columns=[Columns.USER_INDEX, Columns.MOVIE_INDEX, Columns.RATING, Columns.TIMESTAMP],
            filter=_KNOWN & (user >= start) & (user < stop),
        )
        user_index, movie_index, rating, timestamp = (column.to_numpy() for column in table.columns)
        return History.of(Interactions(user_index - start, movie_index, rating, timestamp), stop - start)
