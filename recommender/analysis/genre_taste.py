"""Which genres users rate, and how they like them beside what else they rate."""

import pandas as pd
from ibis.expr import types as ir

from recommender.data.columns import Columns
from recommender.features.vocabulary import GENRE, movie_genres


def genre_taste(ratings: ir.Table, movies: ir.Table) -> pd.DataFrame:
    """What users think of each genre.

    Args:
        ratings: `user_id, movie_id, rating`.
        movies: `movie_id, genres`.

    Returns:
        By genre, the most watched first: `users`, the share of all users who rated a movie of it;
        `favourite`, the share of users of whose ratings it has more than any other genre (the first by name
        among equals); `mean_difference` and `std_difference`, over users with 5 ratings or more in the
        genre, of their mean rating in it minus their mean rating: a large deviation means that tastes differ.
    """
    stars = ratings.select(Columns.USER_ID, Columns.MOVIE_ID, stars=ratings[Columns.RATING].cast("float64"))
    users = stars.group_by(Columns.USER_ID).aggregate(own_mean=stars["stars"].mean())
    n_users = int(users.count().to_pyarrow().as_py())
    met = stars.join(movie_genres(movies), Columns.MOVIE_ID)
    each = met.group_by([Columns.USER_ID, GENRE]).aggregate(n=met.count(), mean=met["stars"].mean())
    each = each.join(users, Columns.USER_ID)
    ordered = each.mutate(
        place=each.count().over(
            group_by=Columns.USER_ID, order_by=[each["n"].desc(), each[GENRE]], rows=(None, 0)
        )
    )
    enough = ordered["n"] >= 5
    difference = ordered["mean"] - ordered["own_mean"]
    table: pd.DataFrame = (
        ordered.group_by(GENRE)
        .aggregate(
            users=ordered.count() / n_users,
            favourite=(ordered["place"] == 1).sum() / n_users,
            mean_difference=difference.mean(where=enough),
            std_difference=difference.std(where=enough, how="pop"),
        )
        .to_pandas()
    )
    return table.sort_values(["users", GENRE], ascending=[False, True]).set_index(GENRE)
