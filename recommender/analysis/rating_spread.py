"""How much of the difference between ratings is the difference between those who give them."""

from ibis.expr import types as ir

from recommender.data.columns import Columns


def share_between_users(ratings: ir.Table) -> float:
    """Share of the ratings' variance that lies between the means of users (the ANOVA's eta squared).

    Formula: sum over users of n_u * (mean_u - mean)^2 / sum over ratings of (r - mean)^2.

    Args:
        ratings: `user_id, rating`.

    Returns:
        From 0, where all users have one mean, to 1, where each always gives the same; NaN where all ratings
        are equal.
    """
    stars = ratings.select(Columns.USER_ID, stars=ratings[Columns.RATING].cast("float64"))
    users = stars.group_by(Columns.USER_ID).aggregate(n=stars.count(), mean=stars["stars"].mean())
    total = stars.aggregate(
        n=stars.count(), mean=stars["stars"].mean(), variance=stars["stars"].var(how="pop")
    ).to_pandas()
    mean = float(total["mean"].item())
    between = users.aggregate(value=(users["n"] * (users["mean"] - mean) ** 2).sum()).to_pandas()
    within_all = float(total["n"].item() * total["variance"].item())
    return float(between["value"].item()) / within_all if within_all else float("nan")
