"""Batches from ratings that stay on disk, in memory that does not grow with their number.

An epoch goes through chunks, the whole histories of neighbouring users, in random order. Some chunks at a
time make a pool, which is shuffled as a whole and cut into batches; what is left over goes into the next one.
So a batch mixes users from all over the file, and Python runs once a chunk. Shuffling in these two steps is
CorgiPile: Xu et al., In-Database Machine Learning with CorgiPile, SIGMOD 2022.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from recommender.features.configuration import InputConfig
from recommender.features.ragged_history import Batch, RaggedHistory
from recommender.features.ratings_by_user import RatingsByUser
from recommender.features.shard import ONE_WORKER, Shard, Share
from recommender.features.transformed_examples import History


def streamed_users(
    ratings: RatingsByUser,
    batch_size: int,
    config: InputConfig,
    seed: int,
    shard: Shard = ONE_WORKER,
    *,
    first_epoch: int = 0,
) -> tf.data.Dataset:
    """What `memory_users` gives, in another order.

    Args:
        ratings: What each user has rated.
        batch_size: Users in a batch; the number of users where those are fewer.
        config: How much is read and mixed at once.
        seed: Of the order; that of an epoch follows from the seed and the number of the epoch.
        shard: Which worker's users.
        first_epoch: Number of the epoch that comes first.

    Returns:
        Batches as `RaggedHistory.users` gives them.
    """
    share = shard.share((ratings.lengths > 0).astype(np.int64))
    size, steps = share.batches(batch_size)

    def gather(ragged: RaggedHistory, rows: tf.Tensor, _: tf.Tensor, __: tf.Tensor) -> Batch:
        return ragged.users(rows)

    # A user stands where its first rating does.
    epochs = _Epochs(
        ratings, share, size, config, (seed, shard.index), first_epoch, lambda splits: splits[:-1]
    )
    return _dataset(epochs, gather, steps)


def streamed_ratings(
    ratings: RatingsByUser,
    batch_size: int,
    config: InputConfig,
    seed: int,
    shard: Shard = ONE_WORKER,
    *,
    history: bool = True,
    drop_remainder: bool = True,
    first_epoch: int = 0,
) -> tf.data.Dataset:
    """What `memory_ratings` gives, in another order.

    Args:
        ratings: The ratings to go through.
        batch_size: Ratings in a batch; the number of ratings where those are fewer.
        config: How much is read and mixed at once.
        seed: Of the order; that of an epoch follows from the seed and the number of the epoch.
        shard: Which worker's ratings.
        history: Whether ratings come with histories.
        drop_remainder: Whether the last, smaller batch of an epoch is dropped.
        first_epoch: Number of the epoch that comes first.

    Returns:
        Batches as `RaggedHistory.ratings` gives them; without histories `user_index`, `movie_index` and
        `rating` only.
    """
    share = shard.share(ratings.lengths)
    size, steps = share.batches(batch_size, drop_remainder=drop_remainder)

    def gather(ragged: RaggedHistory, rows: tf.Tensor, movie_index: tf.Tensor, rating: tf.Tensor) -> Batch:
        if history:
            return ragged.ratings(rows, movie_index, rating)
        return {"user_index": ragged.user_index(rows), "movie_index": movie_index, "rating": rating}

    epochs = _Epochs(
        ratings,
        share,
        size,
        config,
        (seed, shard.index),
        first_epoch,
        lambda splits: np.arange(splits[-1]),
        drop_remainder,
    )
    return _dataset(epochs, gather, steps)


@dataclass(frozen=True)
class _Pool:
    """Whole histories, and the places in them that are still to come out.

    Attributes:
        user_index: int32 [rows].
        history: One row a user.
        waiting: int64, places in `history.movie_index`.
    """

    user_index: npt.NDArray[np.int32]
    history: History
    waiting: npt.NDArray[np.int64]

    @classmethod
    def together(cls, pools: Sequence["_Pool"]) -> Self:
        """One pool of several."""
        ends = np.cumsum([len(pool.history.movie_index) for pool in pools])
        starts = [0, *ends[:-1]]
        splits = [pool.history.row_splits[:-1] + start for pool, start in zip(pools, starts, strict=True)]
        return cls(
            np.concatenate([pool.user_index for pool in pools]),
            History(
                np.concatenate([*splits, ends[-1:]]),
                np.concatenate([pool.history.movie_index for pool in pools]),
                np.concatenate([pool.history.rating for pool in pools]),
            ),
            np.concatenate([pool.waiting + start for pool, start in zip(pools, starts, strict=True)]),
        )

    def only(self, waiting: npt.NDArray[np.int64]) -> "_Pool":
        """The histories that some of the places need, and these places in them."""
        row_of_each = np.searchsorted(self.history.row_splits, waiting, side="right") - 1
        rows, new_row_of_each = np.unique(row_of_each, return_inverse=True)
        lengths = self.history.lengths[rows]
        splits = np.concatenate([[0], np.cumsum(lengths)])
        moved = self.history.row_splits[rows] - splits[:-1]
        kept = np.arange(splits[-1]) + np.repeat(moved, lengths)
        return _Pool(
            self.user_index[rows],
            History(splits, self.history.movie_index[kept], self.history.rating[kept]),
            waiting - moved[new_row_of_each],
        )


class _Epochs:
    """Goes through the share of one worker, pool by pool, in another order each time it is called.

    Args:
        ratings: What each user has rated.
        share: The users to go through.
        size: Of a batch.
        config: How much is read and mixed at once.
        seeds: Of the order.
        first_epoch: Number of the epoch that comes first.
        places: From the row splits of histories to the places in them that make an epoch.
        drop_remainder: Whether the last, smaller batch of an epoch is dropped.
    """

    def __init__(
        self,
        ratings: RatingsByUser,
        share: Share,
        size: int,
        config: InputConfig,
        seeds: tuple[int, int],
        first_epoch: int,
        places: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]],
        drop_remainder: bool = True,
    ) -> None:
        self._ratings, self._size, self._seeds, self._places = ratings, size, seeds, places
        self._drop_remainder = drop_remainder
        ends = np.cumsum(ratings.lengths[share.start : share.stop])
        cuts = np.searchsorted(ends, np.arange(config.chunk_ratings, ends[-1], config.chunk_ratings)) + 1
        bounds = np.unique([0, *cuts, share.stop - share.start]) + share.start
        self._chunks = [(int(start), int(stop)) for start, stop in pairwise(bounds)]
        # As many chunks in each pool as can be, because a small last one would mix few users.
        self._n_pools = -(-len(self._chunks) // config.shuffle_chunks)
        self._epoch = count(first_epoch)
        self.signature = (
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([None], tf.int64),
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([None], tf.float32),
            tf.TensorSpec([None, size if drop_remainder else None], tf.int64),
        )

    def __call__(self) -> Iterator[tuple[npt.NDArray[Any], ...]]:
        """Yield users, row splits, movies and ratings of a pool, and the places of its whole batches."""
        random = np.random.default_rng([*self._seeds, next(self._epoch)])
        left: list[_Pool] = []
        for chunks in np.array_split(random.permutation(len(self._chunks)), self._n_pools):
            pool = _Pool.together([*left, *(self._read(*self._chunks[chunk]) for chunk in chunks)])
            waiting = random.permutation(pool.waiting)
            whole = len(waiting) // self._size * self._size
            yield self._tensors(pool, waiting[:whole].reshape(-1, self._size))
            left = [pool.only(waiting[whole:])]
        if not self._drop_remainder and len(left[0].waiting):
            yield self._tensors(left[0], left[0].waiting[np.newaxis])

    def _read(self, start: int, stop: int) -> _Pool:
        history = self._ratings.histories(start, stop)
        users = np.flatnonzero(history.lengths).astype(np.int32) + np.int32(start)
        # Without the rows of users who have no ratings.
        splits = np.unique(history.row_splits)
        return _Pool(users, History(splits, history.movie_index, history.rating), self._places(splits))

    @staticmethod
    def _tensors(pool: _Pool, batches: npt.NDArray[np.int64]) -> tuple[npt.NDArray[Any], ...]:
        history = pool.history
        return pool.user_index, history.row_splits, history.movie_index, history.rating, batches


def _dataset(epochs: _Epochs, gather: Callable[..., Batch], steps: int) -> tf.data.Dataset:
    def cut(*pool: tf.Tensor) -> tf.data.Dataset:
        *histories, batches = pool
        return tf.data.Dataset.from_tensor_slices(batches).map(lambda places: (*histories, places))

    def batch(
        user_index: tf.Tensor, splits: tf.Tensor, movie_index: tf.Tensor, rating: tf.Tensor, places: tf.Tensor
    ) -> Batch:
        ragged = RaggedHistory(History(splits, movie_index, rating), user_index)
        rows = tf.searchsorted(splits, places, side="right") - 1
        return gather(ragged, rows, tf.gather(movie_index, places), tf.gather(rating, places))

    return (
        tf.data.Dataset.from_generator(epochs, output_signature=epochs.signature)
        .prefetch(1)
        .flat_map(cut)
        .take(steps)
        # Not in parallel: where operations are deterministic, as in training, TensorFlow would undo it.
        .map(batch)
        .apply(tf.data.experimental.assert_cardinality(steps))
        .prefetch(tf.data.AUTOTUNE)
    )
