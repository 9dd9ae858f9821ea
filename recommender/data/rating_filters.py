"""Filters that leave ratings out before they are split."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from ibis.backends.sql import SQLBackend
from ibis.expr import types as ir

from recommender.counted import counted
from recommender.data.columns import Columns
from recommender.data.engine import stored
from recommender.data.splits import Dropped, SplitConfig

_log = logging.getLogger(__name__)


def filter_ratings(
    engine: SQLBackend, ratings: ir.Table, config: SplitConfig, scratch: Path
) -> tuple[ir.Table, tuple[Dropped, ...]]:
    """Leave out low ratings, then quiet users, then what is outside the k-core, as the configuration says.

    Args:
        engine: What computes.
        ratings: `user_id, movie_id, rating`, and whatever else shall stay.
        config: The filters.
        scratch: Folder for what is kept until the engine closes.

    Returns:
        The ratings that stay, and what each filter left out.
    """
    filters: list[tuple[str, float, Callable[[ir.Table], ir.Table]]] = []
    if (least := config.min_rating) is not None:
        filters.append(("min_rating", least, lambda rows: rows.filter(_exact(rows) >= least)))
    if (n := config.min_user_ratings) > 1:
        filters.append(("min_user_ratings", n, lambda rows: _frequent(rows, Columns.USER_ID, n)))
    if (k := config.k_core) > 1:
        filters.append(("k_core", k, lambda rows: _core(engine, rows, k, scratch)))

    dropped = []
    before = _size(ratings) if filters else (0, 0)
    for name, value, leave_out in filters:
        ratings = leave_out(ratings)
        after = _size(ratings)
        n_ratings, n_users = before[0] - after[0], before[1] - after[1]
        told = counted(n_ratings, "rating"), counted(n_users, "user")
        _log.info("%s %g left out %s and %s", name, value, *told)
        dropped.append(Dropped(filter=name, value=value, n_ratings=n_ratings, n_users=n_users))
        before = after
    return ratings, tuple(dropped)


def _core(engine: SQLBackend, ratings: ir.Table, least: int, scratch: Path) -> ir.Table:
    """The k-core: the largest set of ratings whose users and movies all have at least `least` in it."""
    kept = stored(engine, ratings, scratch / "core-0.parquet")
    before, left, rounds = -1, _size(kept)[0], 0
    while left != before:
        rounds += 1
        fewer = _frequent(_frequent(kept, Columns.USER_ID, least), Columns.MOVIE_ID, least)
        kept = stored(engine, fewer, scratch / f"core-{rounds}.parquet")
        _remove(scratch / f"core-{rounds - 1}.parquet")
        before, left = left, _size(kept)[0]
        _log.info("k_core %d: round %d leaves %s", least, rounds, counted(left, "rating"))
    return kept


def _exact(ratings: ir.Table) -> ir.Value:
    return ratings[Columns.RATING].cast("float64")


def _frequent(ratings: ir.Table, key: str, least: int) -> ir.Table:
    counts = ratings.group_by(key).aggregate(n=ratings.count())
    return ratings.semi_join(counts.filter(counts["n"] >= least), key)


def _size(ratings: ir.Table) -> tuple[int, int]:
    row = ratings.aggregate(ratings=ratings.count(), users=ratings[Columns.USER_ID].nunique()).to_pyarrow()
    return int(row["ratings"][0].as_py()), int(row["users"][0].as_py())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
