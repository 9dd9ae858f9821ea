"""What Transform does, written with plain pandas as one would in a notebook: the reference of a benchmark."""

from pathlib import Path

import numpy as np
import pandas as pd

_MONTH_SECONDS = 30.4375 * 86_400


def transform_with_pandas(examples: Path, output: Path, seed: int) -> None:
    """Split at random within each user, compute every feature, write Parquet.

    Vectorised throughout: groupby, merge and explode, no apply and no loop over rows.
    """
    ratings = pd.read_parquet(
        examples / "ratings.parquet", columns=["user_id", "movie_id", "rating", "timestamp"]
    )
    movies = pd.read_parquet(examples / "movies.parquet", columns=["movie_id", "genres", "release_year"])
    part = _parts(ratings, seed)
    train = ratings[part == "train"]
    users = _user_features(train, movies)
    movie_features = _movie_features(train, movies)
    output.mkdir(parents=True, exist_ok=True)
    users.to_parquet(output / "user_features.parquet")
    movie_features.to_parquet(output / "movie_features.parquet")
    for name in ("train", "validation", "test"):
        rows = _interaction_features(ratings[part == name], users, movie_features)
        rows.to_parquet(output / f"{name}_interactions.parquet")


def _parts(ratings: pd.DataFrame, seed: int) -> pd.Series:
    draw = pd.Series(np.random.default_rng(seed).random(len(ratings)), index=ratings.index)
    by_user = ratings["user_id"]
    place = draw.groupby(by_user).rank(method="first")
    n = by_user.map(by_user.value_counts())
    n_test = np.floor(n * 0.2 + 0.5)
    n_validation = np.floor((n - n_test) * 0.1 + 0.5)
    names = np.select([place <= n_test, place <= n_test + n_validation], ["test", "validation"], "train")
    return pd.Series(names, index=ratings.index)


def _user_features(train: pd.DataFrame, movies: pd.DataFrame) -> pd.DataFrame:
    groups = train.groupby("user_id")
    rating, timestamp = groups["rating"], groups["timestamp"]
    users = pd.DataFrame(
        {
            "rating_mean": rating.mean(),
            "rating_std": rating.std(ddof=0),
            "rating_count": rating.count(),
            "rating_range": rating.max() - rating.min(),
        }
    )
    months = (timestamp.max() - timestamp.min()) / _MONTH_SECONDS
    users["rating_velocity"] = users["rating_count"] / months.clip(lower=1)
    users["recency_days"] = (train["timestamp"].max() - timestamp.max()) / 86_400
    met = train[["user_id", "movie_id"]].merge(movies[["movie_id", "genres"]], on="movie_id")
    counts = (
        met[["user_id", "genres"]].explode("genres").groupby(["user_id", "genres"]).size().rename("times")
    )
    ranked = counts.reset_index().sort_values(["user_id", "times", "genres"], ascending=[True, False, True])
    top = ranked.groupby("user_id").head(3).groupby("user_id")["genres"].agg(list)
    users["top_genres"] = top.reindex(users.index)
    return users.reset_index().assign(user_index=lambda table: np.arange(len(table)))


def _movie_features(train: pd.DataFrame, movies: pd.DataFrame) -> pd.DataFrame:
    ordered = train.sort_values(["movie_id", "timestamp", "user_id"])
    groups = ordered.groupby("movie_id")
    rating = groups["rating"]
    count = rating.transform("size")
    place, half = groups.cumcount(), count // 2
    newer = ordered["rating"].where(place >= count - half).groupby(ordered["movie_id"]).mean()
    older = ordered["rating"].where(place < half).groupby(ordered["movie_id"]).mean()
    features = pd.DataFrame(
        {
            "avg_rating": rating.mean(),
            "rating_std": rating.std(ddof=0),
            "rating_count": rating.count(),
            "rating_trend": (newer - older).fillna(0),
        }
    )
    table = movies.merge(features.reset_index(), on="movie_id", how="left").sort_values("movie_id")
    table["rating_count"] = table["rating_count"].fillna(0)
    table["popularity"] = np.log(table["rating_count"] + 1)
    genres = pd.get_dummies(movies.set_index("movie_id")["genres"].explode()).groupby("movie_id").max()
    vectors = pd.Series(list(genres.reindex(table["movie_id"]).to_numpy(np.float32)), index=table.index)
    return table.assign(genre_vector=vectors, movie_index=np.arange(len(table)))


def _interaction_features(ratings: pd.DataFrame, users: pd.DataFrame, movies: pd.DataFrame) -> pd.DataFrame:
    rows = ratings.merge(
        users[["user_id", "user_index", "rating_mean", "rating_std"]], on="user_id", how="left"
    ).merge(movies[["movie_id", "movie_index"]], on="movie_id", how="left")
    spread = rows["rating_std"].where(rows["rating_std"] > 0)
    rows["rating_normalized"] = ((rows["rating"] - rows["rating_mean"]) / spread).fillna(0)
    times = pd.to_datetime(rows["timestamp"], unit="s")
    rows["day_of_week"], rows["hour_of_day"] = times.dt.dayofweek, times.dt.hour
    return rows.drop(columns=["rating_mean", "rating_std"])
