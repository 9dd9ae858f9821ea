from datetime import UTC, datetime
from statistics import fmean, pstdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.features.interaction import interaction_features
from recommender.features.user import user_features
from recommender.features.vocabulary import movie_index

T = 900_000_000


def of(ratings, users, movies):
    rows = interaction_features(ratings, users, movies).to_pyarrow().to_pylist()
    return {(row["user_id"], row["movie_id"]): row for row in rows}


def day_and_hour(timestamp):
    if timestamp is None:
        return -1, -1
    when = datetime.fromtimestamp(timestamp, UTC)
    return when.weekday(), when.hour


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_interaction_features_agree_with_plain_python(data, rating_rows, tables):
    rows = data.draw(rating_rows)
    ratings, movies = tables(rows)

    features = of(ratings, user_features(ratings, movies), movie_index(movies))

    users = sorted({row[0] for row in rows})
    for user, movie, rating, timestamp in rows:
        own = [row[2] for row in rows if row[0] == user]
        spread = pstdev(own)
        row = features[user, movie]
        assert row["rating_normalized"] == pytest.approx(
            (rating - fmean(own)) / spread if len(set(own)) > 1 else 0, rel=1e-4, abs=1e-5
        )
        assert (row["day_of_week"], row["hour_of_day"]) == day_and_hour(timestamp)
        assert (row["user_index"], row["movie_index"]) == (users.index(user), movie - 1)
        assert (row["rating"], row["timestamp"]) == (pytest.approx(rating, rel=1e-6), timestamp or 0)


def test_a_user_and_a_movie_that_training_does_not_know_are_marked(tables):
    ratings, movies = tables([(1, 1, 4.0, T), (2, 99, 4.0, T)])
    train = ratings.filter(ratings.user_id == 1)

    row = of(ratings, user_features(train, movies), movie_index(movies))[2, 99]

    assert (row["user_index"], row["movie_index"], row["rating_normalized"]) == (-1, -1, 0)


@pytest.mark.parametrize("timestamp", [0, -1, -86_400 * 5, 4 * 86_400 - 1, 4 * 86_400, 951_782_400])
def test_week_days_and_hours_hold_on_either_side_of_1970(tables, timestamp):
    ratings, movies = tables([(1, 1, 4.0, timestamp)])

    row = of(ratings, user_features(ratings, movies), movie_index(movies))[1, 1]

    assert (row["day_of_week"], row["hour_of_day"]) == day_and_hour(timestamp)


def test_a_missing_time_is_0_and_has_neither_day_nor_hour(tables):
    ratings, movies = tables([(1, 1, 4.0, None)])

    row = of(ratings, user_features(ratings, movies), movie_index(movies))[1, 1]

    assert (row["timestamp"], row["day_of_week"], row["hour_of_day"]) == (0, -1, -1)
