from collections import Counter
from statistics import fmean, pstdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.features.user import user_features

DAY = 86_400
T = 900_000_000


def of(table):
    return {row["user_id"]: row for row in table.to_pyarrow().to_pylist()}


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_user_features_agree_with_plain_python(data, rating_rows, movie_rows, tables):
    rows = data.draw(rating_rows)
    genres_of = {movie: sorted(set(genres or ())) for movie, genres, _ in movie_rows}

    features = of(user_features(*tables(rows)))

    users = sorted({row[0] for row in rows})
    assert sorted(features) == users
    newest = max(row[3] or 0 for row in rows)
    for index, user in enumerate(users):
        own = [row for row in rows if row[0] == user]
        ratings, times = [row[2] for row in own], [row[3] or 0 for row in own]
        met = Counter(genre for row in own for genre in genres_of[row[1]])
        months = max(1.0, (max(times) - min(times)) / DAY / 30.4375)
        assert features[user] == {
            "user_id": user,
            "user_index": index,
            "rating_mean": pytest.approx(fmean(ratings), rel=1e-6),
            "rating_std": pytest.approx(pstdev(ratings), rel=1e-5, abs=1e-7),
            "rating_count": len(own),
            "top_genres": sorted(met, key=lambda genre: (-met[genre], genre))[:3],
            "rating_velocity": pytest.approx(len(own) / months, rel=1e-6),
            "recency_days": pytest.approx((newest - max(times)) / DAY, rel=1e-6),
            "rating_range": pytest.approx(max(ratings) - min(ratings), abs=1e-6),
        }


def test_one_rating_has_no_spread_and_a_velocity_of_one(tables):
    features = of(user_features(*tables([(7, 2, 3.7, T), (8, 1, 4.0, T + DAY)])))[7]

    assert (features["rating_std"], features["rating_range"], features["rating_velocity"]) == (0, 0, 1)
    assert features["recency_days"] == 1
    assert features["top_genres"] == ["Comedy", "Drama"]


def test_without_timestamps_velocity_is_the_count_and_nobody_is_long_gone(tables):
    features = of(user_features(*tables([(7, 2, 3.0, None), (7, 1, 4.0, None)])))[7]

    assert (features["rating_velocity"], features["recency_days"]) == (2, 0)


def test_equal_ratings_have_exactly_no_spread(tables):
    rows = [(1, movie, 3.3, T + movie) for movie in range(1, 6)]

    assert of(user_features(*tables(rows)))[1]["rating_std"] == 0


def test_a_user_of_movies_without_genres_has_no_favourites(tables):
    assert of(user_features(*tables([(1, 3, 4.0, T)])))[1]["top_genres"] == []
