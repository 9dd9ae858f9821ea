"""How empty the matrix of users and movies is, and where."""

import ibis
import numpy as np
import numpy.typing as npt
import pandas as pd
from ibis.expr import types as ir

from recommender.data.columns import Columns


def sampled_matrix(ratings: ir.Table, n_users: int, n_movies: int, seed: int) -> npt.NDArray[np.float32]:
    """A piece of the matrix of ratings, small enough to look at.

    Args:
        ratings: `user_id, movie_id, rating`.
        n_users: Users to draw, each as likely; all where there are fewer.
        n_movies: Rated movies to draw, each as likely; all where there are fewer.
        seed: Of the draw.

    Returns:
        float32 [users, movies], NaN where there is no rating; users and movies with the most ratings first.
    """
    generator = np.random.default_rng(seed)
    drawn = [
        _drawn(ratings, key, size, generator)
        for key, size in ((Columns.USER_ID, n_users), (Columns.MOVIE_ID, n_movies))
    ]
    users, movies = (ibis.memtable(one) for one in drawn)
    cells = (
        ratings.select(Columns.USER_ID, Columns.MOVIE_ID, Columns.RATING)
        .join(users, Columns.USER_ID)
        .join(movies, Columns.MOVIE_ID)
        .select("user_id_place", "movie_id_place", Columns.RATING)
        .to_pandas()
    )
    matrix = np.full((len(drawn[0]), len(drawn[1])), np.nan, np.float32)
    matrix[cells["user_id_place"], cells["movie_id_place"]] = cells[Columns.RATING]
    return matrix


def _drawn(ratings: ir.Table, key: str, size: int, generator: np.random.Generator) -> pd.DataFrame:
    """Some ids with their place, those with the most ratings first."""
    counts = ratings.group_by(key).aggregate(n=ratings.count()).order_by(key).to_pandas()
    rows = generator.choice(len(counts), min(size, len(counts)), replace=False)
    chosen = counts.iloc[rows].sort_values(["n", key], ascending=[False, True])
    return pd.DataFrame({key: chosen[key].to_numpy(), f"{key}_place": np.arange(len(chosen))})


def coverage(ratings: ir.Table, groups: int = 10) -> pd.DataFrame:
    """The share of pairs that are rated, by how active the user and how popular the movie is.

    Args:
        ratings: `user_id, movie_id`.
        groups: How many groups of equally many users, and of equally many rated movies, those with the most
            ratings in group 1.

    Returns:
        A row for each group of users, a column for each of movies: shares from 0 to 1.
    """
    users, movies = (_grouped(ratings, key, groups) for key in (Columns.USER_ID, Columns.MOVIE_ID))
    pairs = ratings.select(Columns.USER_ID, Columns.MOVIE_ID)
    pairs = pairs.join(users, Columns.USER_ID).join(movies, Columns.MOVIE_ID)
    by = ["user_id_group", "movie_id_group"]
    counts = pairs.group_by(by).aggregate(n=pairs.count()).to_pandas()
    cells = counts.pivot_table(index=by[0], columns=by[1], values="n", aggfunc="sum", fill_value=0)
    sizes = [
        one.group_by(name).aggregate(n=one.count()).to_pandas().set_index(name)["n"]
        for one, name in zip((users, movies), by, strict=True)
    ]
    cells = cells.reindex(
        index=sizes[0].sort_index().index, columns=sizes[1].sort_index().index, fill_value=0
    )
    possible = np.outer(sizes[0].sort_index(), sizes[1].sort_index())
    return pd.DataFrame(cells.to_numpy() / possible, index=cells.index, columns=cells.columns)


def _grouped(ratings: ir.Table, key: str, groups: int) -> ir.Table:
    """Each id with its group, from 1, those with the most ratings first."""
    counts = ratings.group_by(key).aggregate(n=ratings.count())
    place = ibis.ntile(groups).over(order_by=[counts["n"].desc(), counts[key]])
    return counts.select(key, **{f"{key}_group": place + 1})
