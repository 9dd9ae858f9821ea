"""One worker's part of the users, for training on several workers."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from recommender.errors import TrainingError


@dataclass(frozen=True)
class Share:
    """The users of one worker, neighbours by position.

    Attributes:
        start: The first.
        stop: The one after the last.
        smallest: What the worker with the least has, counted in what the shares were made equal by.
    """

    start: int
    stop: int
    smallest: int

    def batches(self, batch_size: int, *, drop_remainder: bool = True) -> tuple[int, int]:
        """The size and the number of an epoch's batches, the same for every worker.

        All workers have to take equally many steps, or some wait for the others for ever: so it is as many
        as the smallest share gives. What a larger share has left over is another part of it in each epoch.

        Args:
            batch_size: The size that is wanted; the smallest share's where that is less.
            drop_remainder: Whether a last, smaller batch is dropped.
        """
        size = min(batch_size, self.smallest)
        steps, remainder = divmod(self.smallest, size)
        return size, steps + (remainder > 0 and not drop_remainder)


@dataclass(frozen=True)
class Shard:
    """Which of several workers this is.

    Attributes:
        index: From 0.
        count: Workers.
    """

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ValueError(f"shard {self.index} of {self.count}: the index counts from 0 to count - 1")

    @classmethod
    def of(cls, context: Any) -> Self:
        """The worker that a `tf.distribute.InputContext` describes."""
        return cls(context.input_pipeline_id, context.num_input_pipelines)

    def share(self, weights: npt.NDArray[np.int64]) -> Share:
        """Divide all users among the workers: no user has two of them, none is left out.

        Args:
            weights: int64 [users], what shares shall have equally much of: 1 a user, or the user's ratings.
                Shares then differ by less than twice the largest weight.

        Raises:
            TrainingError: a worker would have nothing.
        """
        before = np.cumsum(weights) - weights
        owner = before * self.count // max(1, int(weights.sum()))
        sums = np.bincount(owner, weights, minlength=self.count)[: self.count]
        if not sums.min():
            raise TrainingError(
                f"{np.count_nonzero(weights)} users with ratings cannot be shared among {self.count} workers "
                "so that each has some: train with fewer workers, or give more ratings."
            )
        start, stop = np.searchsorted(owner, [self.index, self.index + 1])
        return Share(int(start), int(stop), int(sums.min()))


ONE_WORKER = Shard()
"""Everything."""
