"""What is missing in the data, what stands out, and how fast ratings were given."""

import ibis
import pandas as pd
from ibis.expr import types as ir

from recommender.data.columns import Columns


def missing_values(table: ir.Table) -> pd.DataFrame:
    """Missing values of each column; a list without entries is missing.

    Returns:
        By column: `missing` and `share` of all rows.
    """
    gaps = {
        name: (
            (table[name].isnull() | (table[name].length() == 0))
            if table[name].type().is_array()
            else table[name].isnull()
        ).sum()
        for name in table.columns
    }
    counts = table.aggregate(rows=table.count(), **{f"missing_{name}": gap for name, gap in gaps.items()})
    row = counts.to_pandas().iloc[0]
    missing = [int(row[f"missing_{name}"]) for name in table.columns]
    return pd.DataFrame(
        {"missing": missing, "share": [count / max(int(row["rows"]), 1) for count in missing]},
        index=pd.Index(table.columns, name="column"),
    )


def unusual_users(ratings: ir.Table) -> pd.DataFrame:
    """Users whose ratings say little or who stand out.

    Args:
        ratings: `user_id, rating`.

    Returns:
        By what is unusual, how many `users` that is, their `share` of all users and `share_of_ratings`:
        one and the same rating throughout; a mean, or a number of ratings (its logarithm), more than three
        standard deviations from that of all users.
    """
    stars = ratings.select(Columns.USER_ID, stars=ratings[Columns.RATING].cast("float64"))
    users = stars.group_by(Columns.USER_ID).aggregate(
        n=stars.count(), mean=stars["stars"].mean(), low=stars["stars"].min(), high=stars["stars"].max()
    )
    users = users.mutate(log_n=users["n"].cast("float64").ln())
    everyone = ibis.window()
    users = users.mutate(
        **{
            f"{name}_far": (users[name] - users[name].mean().over(everyone)).abs()
            > 3 * users[name].std(how="pop").over(everyone)
            for name in ("mean", "log_n")
        }
    )
    kinds = {
        "one rating throughout": (users["low"] == users["high"]) & (users["n"] > 1),
        "unusual mean": users["mean_far"],
        "unusual number of ratings": users["log_n_far"],
    }
    rows = []
    for name, chosen in kinds.items():
        found = (
            users.aggregate(
                users=chosen.sum(),
                everyone=users.count(),
                ratings=users["n"].sum(where=chosen),
                all=users["n"].sum(),
            )
            .to_pandas()
            .iloc[0]
        )
        given = 0 if pd.isna(found["ratings"]) else int(found["ratings"])
        rows.append((name, int(found["users"]), found["users"] / found["everyone"], given / found["all"]))
    return pd.DataFrame(rows, columns=["unusual", "users", "share", "share_of_ratings"]).set_index("unusual")


def rating_velocity(ratings: ir.Table) -> pd.DataFrame:
    """How fast users rate.

    Args:
        ratings: `user_id, timestamp`; those without a time are left out.

    Returns:
        A row for each of the ranges from 1, 2, 5, 10, 20, 50 and so on: `low`, and how many `users` had at
        most so many ratings, from `low` to before the next, in the hour in which they gave the most; and
        `same_second`, the users whose fastest second has that many.
    """
    dated = ratings.filter(ratings[Columns.TIMESTAMP].notnull())
    frames = {}
    for name, seconds in (("users", 3600), ("same_second", 1)):
        moments = dated.select(Columns.USER_ID, moment=dated[Columns.TIMESTAMP] // seconds)
        each = moments.group_by([Columns.USER_ID, "moment"]).aggregate(n=moments.count())
        fastest = each.group_by(Columns.USER_ID).aggregate(n=each["n"].max())
        counts = fastest.group_by("n").aggregate(count=fastest.count()).to_pandas()
        frames[name] = counts.groupby(counts["n"].map(_range_of))["count"].sum()
    table = pd.DataFrame(frames).fillna(0).astype("int64").sort_index()
    return table.rename_axis("low").reset_index()


def _range_of(number: int) -> int:
    """The largest of 1, 2, 5, 10, 20, 50 and so on that is no larger."""
    scale = int(10 ** (len(str(number)) - 1))
    return max(step * scale for step in (1, 2, 5) if step * scale <= number)
