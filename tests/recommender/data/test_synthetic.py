import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from recommender.data.synthetic import SyntheticConfig, generate


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic")
    generate(SyntheticConfig(), 7, folder)
    return folder


@pytest.fixture(scope="module")
def ratings(folder):
    return pd.read_csv(folder / "ratings.csv")


def test_the_files_look_like_those_of_movielens(folder):
    ratings = (folder / "ratings.csv").read_text().splitlines()
    movies = (folder / "movies.csv").read_text().splitlines()
    assert ratings[0] == "userId,movieId,rating,timestamp"
    assert movies[0] == "movieId,title,genres"
    assert pd.Series(ratings[1:]).str.fullmatch(r"\d+,\d+,[0-5]\.[05],\d{9,10}").all()
    assert pd.Series(movies[1:]).str.fullmatch(r"\d+,The \w+ \w+ \(19\d\d\),[\w|-]+").all()


def test_counts_are_as_asked_and_no_pair_comes_twice(ratings, folder):
    assert len(ratings) == 8_000
    assert ratings["userId"].nunique() == 200
    assert len(pd.read_csv(folder / "movies.csv")) == 300
    assert not ratings.duplicated(["userId", "movieId"]).any()


@pytest.mark.parametrize(
    ("n_users", "n_movies", "n_ratings"), [(1, 1, 1), (3, 2, 3), (5, 2_500, 6_000), (50, 20, 500)]
)
def test_odd_sizes_come_out_exactly(tmp_path, n_users, n_movies, n_ratings):
    generate(SyntheticConfig(n_users=n_users, n_movies=n_movies, n_ratings=n_ratings), 1, tmp_path)
    ratings = pd.read_csv(tmp_path / "ratings.csv")
    movies = pd.read_csv(tmp_path / "movies.csv")
    assert (len(ratings), ratings["userId"].nunique(), len(movies)) == (n_ratings, n_users, n_movies)
    assert not movies["title"].duplicated().any()


def test_the_same_seed_gives_the_same_files_and_another_gives_others(folder, tmp_path):
    generate(SyntheticConfig(), 7, tmp_path / "same")
    generate(SyntheticConfig(), 8, tmp_path / "other")
    for name in ("ratings.csv", "movies.csv"):
        assert (tmp_path / "same" / name).read_bytes() == (folder / name).read_bytes()
        assert (tmp_path / "other" / name).read_bytes() != (folder / name).read_bytes()


def test_activity_and_popularity_have_long_tails(ratings):
    for column in ("userId", "movieId"):
        counts = ratings[column].value_counts()
        assert counts.head(len(counts) // 5).sum() > 0.35 * len(ratings)


def test_nobody_rates_a_movie_before_it_was_made(ratings, folder):
    movies = pd.read_csv(folder / "movies.csv")
    made = movies.set_index("movieId")["title"].str.extract(r"\((\d{4})\)")[0].astype(int)
    rated = pd.to_datetime(ratings["timestamp"], unit="s").dt.year
    assert (ratings["movieId"].map(made) <= rated).all()


def test_taste_can_be_learned(ratings):
    """Neighbouring movies find what was held out better than the most popular ones do."""
    held_out = ratings.groupby("userId").sample(frac=0.2, random_state=0).index
    train, test = ratings.drop(held_out), ratings.loc[held_out]
    seen = np.zeros((201, 301))
    seen[train["userId"], train["movieId"]] = 1
    norms = np.linalg.norm(seen, axis=0) + 1e-9
    similarity = seen.T @ seen / np.outer(norms, norms)

    def recall_at_20(scores):
        top = np.argsort(-np.where(seen > 0, -np.inf, scores), axis=1)[:, :20]
        return np.mean(
            [movie in top[user] for user, movie in zip(test["userId"], test["movieId"], strict=True)]
        )

    popular = np.broadcast_to(seen.sum(axis=0), seen.shape)
    assert recall_at_20(seen @ similarity) > 1.5 * recall_at_20(popular)


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(ValidationError, match=r"n_ratings is 100: 5 users and 10 movies take from 5 to 25"):
        SyntheticConfig(n_users=5, n_movies=10, n_ratings=100)
