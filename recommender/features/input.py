"""Model input as `tf.data`: a user at a time or a rating at a time, whole batches, no per-row Python."""

import logging
from collections.abc import Sequence
from functools import reduce
from operator import add

import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from recommender.errors import DataError
from recommender.features.configuration import InputConfig
from recommender.features.memory_batches import memory_ratings, memory_users
from recommender.features.ratings_by_user import RatingsByUser
from recommender.features.shard import ONE_WORKER, Shard
from recommender.features.streamed_batches import streamed_ratings, streamed_users
from recommender.features.transformed_examples import History, Interactions, Part, TransformedExamples

logger = logging.getLogger(__name__)


def user_batches(
    examples: TransformedExamples,
    parts: Sequence[Part],
    batch_size: int,
    config: InputConfig,
    seed: int,
    shard: Shard = ONE_WORKER,
    *,
    first_epoch: int = 0,
) -> tf.data.Dataset:
    """Users in a new random order each epoch, each with its whole history; for the full softmax.

    Users without ratings are left out, and so are ratings of movies that training does not know. The last,
    smaller batch of an epoch is dropped, so that every step weighs a user alike.

    Args:
        examples: What Transform wrote.
        parts: Whose ratings make the histories.
        batch_size: Users in a batch, on this worker; the number of users where those are fewer.
        config: Whether ratings are held in memory or streamed from disk.
        seed: Of the order: one seed gives the same batches in any process.
        shard: Which worker's users; the workers share the users among themselves and take equally many
            steps.
        first_epoch: Number of the epoch that comes first: its order is the same wherever training began.

    Returns:
        Batches of `user_index` int32 [batch], `history` int32 ragged [batch, None] of movie positions,
        oldest first, and `history_rating` float32 ragged [batch, None].

    Raises:
        DataError: the parts have no ratings, or cannot be read.
        TrainingError: there are fewer users than workers.
    """
    ratings = _ratings(examples, parts, config)
    if isinstance(ratings, RatingsByUser):
        batches = streamed_users(ratings, batch_size, config, seed, shard, first_epoch=first_epoch)
    else:
        history = History.of(ratings, examples.n_users)
        batches = memory_users(history, batch_size, seed, shard, first_epoch=first_epoch)
    return _shared_out(batches, shard)


def rating_batches(
    examples: TransformedExamples,
    parts: Sequence[Part],
    batch_size: int,
    config: InputConfig,
    seed: int,
    shard: Shard = ONE_WORKER,
    *,
    history: bool = True,
    drop_remainder: bool = True,
    first_epoch: int = 0,
) -> tf.data.Dataset:
    """Ratings in a new random order each epoch, each with its user's history without the rated movie.

    Ratings of users and movies that training does not know are left out.

    Args:
        examples: What Transform wrote.
        parts: The ratings to go through, which also make the histories.
        batch_size: Ratings in a batch, on this worker; the number of ratings where those are fewer.
        config: Whether ratings are held in memory or streamed from disk.
        seed: Of the order: one seed gives the same batches in any process.
        shard: Which worker's ratings; the workers share the ratings among themselves, all of a user's to one
            worker, and take equally many steps.
        history: Whether ratings come with histories.
        drop_remainder: Whether the last, smaller batch of an epoch is dropped.
        first_epoch: As for `user_batches`.

    Returns:
        Batches as of `user_batches`, with `movie_index` int32 [batch] and `rating` float32 [batch]; without
        histories `user_index`, `movie_index` and `rating` only.

    Raises:
        DataError: the parts have no ratings, or cannot be read.
        TrainingError: there are fewer users than workers.
    """
    ratings = _ratings(examples, parts, config)
    if isinstance(ratings, RatingsByUser):
        batches = streamed_ratings(
            ratings,
            batch_size,
            config,
            seed,
            shard,
            history=history,
            drop_remainder=drop_remainder,
            first_epoch=first_epoch,
        )
    else:
        histories = History.of(ratings, examples.n_users) if history else None
        batches = memory_ratings(
            ratings,
            histories,
            batch_size,
            seed,
            shard,
            drop_remainder=drop_remainder,
            first_epoch=first_epoch,
        )
    return _shared_out(batches, shard)


def _ratings(
    examples: TransformedExamples, parts: Sequence[Part], config: InputConfig
) -> Interactions | RatingsByUser:
    """The known ratings of the parts, in memory or on disk."""
    files = [examples.folder / f"{part}_interactions.parquet" for part in parts]
    names = ", ".join(str(file) for file in files)
    ratings: Interactions | RatingsByUser
    try:
        if config.streams(sum(pq.read_metadata(file).num_rows for file in files)):
            ratings = RatingsByUser(files, examples.n_users)
            n_ratings = int(ratings.lengths.sum())
            logger.info("streaming %s ratings of %s from disk", f"{n_ratings:,}", " and ".join(parts))
        else:
            ratings = reduce(add, (examples.interactions(part).known() for part in parts))
            n_ratings = len(ratings)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{names}: cannot be read ({error}). Run the Transform step again.") from error
    if not n_ratings:
        raise DataError(
            f"{names}: no ratings of users and movies that training knows. Loosen the filters of "
            "transform.split, or give more ratings."
        )
    return ratings


def _shared_out(batches: tf.data.Dataset, shard: Shard) -> tf.data.Dataset:
    if shard.count == 1:
        return batches
    # Or `tf.distribute` would divide each worker's share once more.
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return batches.with_options(options)
