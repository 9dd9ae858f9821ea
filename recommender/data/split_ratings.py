"""The strategies by which ratings are divided into parts."""

from collections.abc import Callable
from fractions import Fraction
from typing import Final

import ibis
import numpy as np
from ibis.expr import types as ir

from recommender.data.columns import Columns
from recommender.data.draw import ticket
from recommender.data.splits import PART, PARTS, SplitConfig
from recommender.errors import DataError

_LAST_OUT_RATINGS: Final = 3
"""Ratings that a user must have to give one to the test, one to the validation, and keep one."""
_DAY: Final = 86_400
_OWNERS: Final = {
    "user": (Columns.USER_ID, Columns.MOVIE_ID),
    "movie": (Columns.MOVIE_ID, Columns.USER_ID),
}
"""Columns of those whose ratings are divided, and of what tells their ratings apart."""
_Key = Callable[[ir.Table], ir.Value]


def split_ratings(ratings: ir.Table, config: SplitConfig, seed: int) -> ir.Table:
    """Name the part of each rating in the column `part`: train, validation or test.

    - `random`: a user's ratings stand in the order that the seed draws (`ticket`), the last round(n *
      test_size) are test, the last round(left * validation_size) of those left validation, halves rounded up.
      Times play no part: a model may train on ratings that are newer than those it is tested on. With
      `within=movie` the same is done with each movie's ratings, and a user may have none to train on.
    - `time_user`: the same, with a user's ratings in the order of time, equal times by movie id. One user's
      training ratings may be newer than another's test ratings.
    - `time_global`: the newest round(n * test_size) of all ratings are test, and the newest share of the rest
      validation. Each cut is a point in time: ratings of the second in which it falls all go to the older
      side, so a part may be a little smaller, and everything in it is newer than what the parts before it
      hold. It may hold users and movies that training does not know.
    - `leave_last_out`: a user's last rating is test, the one before it validation. Users with fewer than
      three ratings only train. Sizes of 0 leave out the part.
    - `provided`: the parts are those that ratings come with. Without validation ratings, validation is drawn
      from each user's training ratings as in `random`. Ratings of a part whose size is 0 train.

    At least one of the ratings that a user could train on stays for training, except with `within=movie`,
    where one of each movie's does, and under `time_global`, where at least one of all does. Nothing but ids,
    times and the seed decides, so every engine and every number of threads gives the same parts.

    Args:
        ratings: `user_id, movie_id, rating, timestamp`, one rating for each user and movie; for `provided`
            also `part`.
        config: Strategy and sizes; the filters are left to `filter_ratings`.
        seed: Another seed, another draw.

    Raises:
        DataError: the strategy needs timestamps, and some are missing; or `part` holds something else.
    """
    if config.strategy in {"time_user", "time_global", "leave_last_out"}:
        _require_timestamps(ratings, config)
    match config.strategy:
        case "provided":
            return _provided(ratings, config, seed)
        case "time_global":
            return _by_global_time(ratings, config)
        case "time_user":
            return _within(Columns.USER_ID, ratings, _time, lambda n: _shares(n, config))
        case "leave_last_out":
            return _within(Columns.USER_ID, ratings, _time, lambda n: _last_out(n, config))
        case "random":
            owner, other = _OWNERS[config.within]
            return _within(owner, ratings, _drawn(owner, other, seed), lambda n: _shares(n, config))


def _within(
    owner: str, ratings: ir.Table, key: _Key, sizes: Callable[[ir.Value], tuple[ir.Value, ir.Value]]
) -> ir.Table:
    """Divide the ratings of each user, or of each movie, in the order of a key that no two of them share.

    Args:
        owner: Column by whose values ratings are divided.
        ratings: Of any number of owners.
        key: What they are ordered by.
        sizes: From an owner's number of ratings to those of the test and of the validation part.
    """
    # Finding the two ratings of an owner at which parts end, and comparing with them, takes half the time of
    # numbering every rating.
    own = ratings.group_by(owner).aggregate(n=ratings.count(), keys=key(ratings).collect())
    n_test, n_validation = sizes(own["n"])
    n_train = own["n"] - n_test - n_validation
    in_order = own["keys"].sort()
    ends = own.select(
        owner,
        _last_train=in_order[(n_train - 1).cast("int32")],
        _last_validation=in_order[(n_train + n_validation - 1).cast("int32")],
    )
    rows = ratings.join(ends, owner)
    own_key = key(rows)
    part = ibis.cases(
        (own_key <= rows["_last_train"], "train"),
        (own_key <= rows["_last_validation"], "validation"),
        else_="test",
    )
    return rows.select(*ratings.columns, part.name(PART))


def _drawn(owner: str, other: str, seed: int) -> _Key:
    # The draw permutes its second column under its first, whichever of the two is the user.
    return lambda rows: ticket(rows[owner], rows[other], seed)


def _time(rows: ir.Table) -> ir.Value:
    return ibis.struct({name: rows[name] for name in (Columns.TIMESTAMP, Columns.MOVIE_ID)})


def _shares(n: ir.Value, config: SplitConfig) -> tuple[ir.Value, ir.Value]:
    n_test = ibis.least(_rounded_share(n, config.test_size), n - 1)
    left = n - n_test
    return n_test, ibis.least(_rounded_share(left, config.validation_size), left - 1)


def _last_out(n: ir.Value, config: SplitConfig) -> tuple[ir.Value, ir.Value]:
    def one(size: float) -> ir.Value:
        return (n >= _LAST_OUT_RATINGS).ifelse(int(size > 0), 0)

    return one(config.test_size), one(config.validation_size)


def _by_global_time(ratings: ir.Table, config: SplitConfig) -> ir.Table:
    timestamp = ratings[Columns.TIMESTAMP]
    last_left = _last_of_older(ratings, config.test_size)
    last_train = _last_of_older(ratings.filter(timestamp <= last_left), config.validation_size)
    part = ibis.cases(
        (timestamp <= last_train, "train"), (timestamp <= last_left, "validation"), else_="test"
    )
    return ratings.mutate(part.name(PART))


def _last_of_older(ratings: ir.Table, newest_share: float) -> int:
    """Time of the newest rating that does not belong to the newest share; 0 if there are no ratings."""
    n_ratings = int(ratings.count().to_pyarrow().as_py())
    exact = _fraction(newest_share) * n_ratings
    place = n_ratings - min(int(exact + Fraction(1, 2)), n_ratings - 1)
    # Counting days first and then seconds of one day is exact, and no engine has to sort all ratings.
    bucket = 0
    for width in (_DAY, 1):
        of_each = (ratings[Columns.TIMESTAMP] // width).name("bucket")
        counts = ratings.group_by(of_each).aggregate(n=ratings.count()).order_by("bucket").to_pyarrow()
        if not counts.num_rows:
            break
        reached = np.cumsum(counts["n"].to_numpy())
        found = int(np.searchsorted(reached, place))
        bucket = int(counts["bucket"][found].as_py())
        place -= int(reached[found] - counts["n"][found].as_py())
        ratings = ratings.filter(ratings[Columns.TIMESTAMP] // width == bucket)
    return bucket


def _provided(ratings: ir.Table, config: SplitConfig, seed: int) -> ir.Table:
    _require_parts(ratings)
    sizes = {"validation": config.validation_size, "test": config.test_size}
    unwanted = [part for part, size in sizes.items() if not size]
    ratings = ratings.mutate(ratings[PART].isin(unwanted).ifelse("train", ratings[PART]).name(PART))
    validation = ratings.filter(ratings[PART] == "validation")
    if not config.validation_size or validation.count().to_pyarrow().as_py():
        return ratings
    train = ratings[PART] == "train"
    only_validation = config.model_copy(update={"test_size": 0.0})
    owner, other = _OWNERS["user"]
    carved = _within(
        owner,
        ratings.filter(train).drop(PART),
        _drawn(owner, other, seed),
        lambda n: _shares(n, only_validation),
    )
    return carved.union(ratings.filter(~train))


def _require_timestamps(ratings: ir.Table, config: SplitConfig) -> None:
    missing = int(ratings[Columns.TIMESTAMP].isnull().sum().fill_null(0).to_pyarrow().as_py())
    if missing:
        raise DataError(
            f"split.strategy={config.strategy} goes by time, and {missing:,} ratings have no timestamp. "
            "Name the column that holds it in example_gen, or use split.strategy=random."
        )


def _require_parts(ratings: ir.Table) -> None:
    part = ratings[PART]
    others = ratings.filter(part.isnull() | part.notin(PARTS))
    counts = (
        others.group_by(PART).aggregate(n=others.count()).order_by(PART).limit(1).to_pyarrow().to_pylist()
    )
    if counts:
        raise DataError(
            f"split.strategy=provided: column {PART} is {counts[0][PART]!r} in {counts[0]['n']:,} ratings, "
            f"but each must have one of {', '.join(PARTS)}. Run ExampleGen on your training and test files."
        )


def _rounded_share(count: ir.Value, share: float) -> ir.Value:
    """`count * share` rounded half up, in whole numbers: 0.29 * 50 is 14.5 here, and not a little less."""
    exact = _fraction(share)
    return (count * (2 * exact.numerator) + exact.denominator) // (2 * exact.denominator)


def _fraction(share: float) -> Fraction:
    return Fraction(str(share)).limit_denominator(1_000_000)
