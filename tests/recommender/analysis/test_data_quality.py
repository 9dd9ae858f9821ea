import pytest

from recommender.analysis.data_quality import missing_values, rating_velocity, unusual_users


def test_missing_values_and_empty_lists_are_counted(tables):
    movies = [(1, ["War"], 1990), (2, [], None)]
    missing = missing_values(tables([(1, 1, 3.0, 0)], movies).movies)
    assert missing["missing"].to_dict() == {
        "movie_id": 0, "title": 0, "genres": 1, "release_year": 1, "imdb_id": 2, "tmdb_id": 2,
    }  # fmt: skip
    assert missing.loc["genres", "share"] == 1 / 2


def test_users_who_stand_out_are_counted(tables):
    # Thirty users with means of 3 and two ratings, one who gives 5 throughout, one with 200 ratings.
    ratings = [(user, movie, 2.0 + 2 * movie, 0) for user in range(30) for movie in range(2)]
    ratings += [(30, movie, 5.0, 0) for movie in range(2)]
    ratings += [(31, movie, 2.0 + 2 * (movie % 2), 0) for movie in range(200)]
    found = unusual_users(tables(ratings).ratings)
    assert found["users"].to_dict() == {
        "one rating throughout": 1, "unusual mean": 1, "unusual number of ratings": 1,
    }  # fmt: skip
    assert found["share"].tolist() == pytest.approx([1 / 32] * 3)
    assert found["share_of_ratings"].tolist() == pytest.approx([2 / 262, 2 / 262, 200 / 262])


def test_velocity_is_that_of_the_fastest_hour_and_second(tables):
    hour = 3600
    # User 1: three in one hour, two of them in a second, then one. User 2: one. User 3: no time.
    moments = [(1, 0), (1, 0), (1, hour - 1), (1, hour), (2, 5), (3, None)]
    rows = [(user, movie, 3.0, time) for movie, (user, time) in enumerate(moments)]
    speed = rating_velocity(tables(rows).ratings)
    assert speed.to_dict("list") == {"low": [1, 2], "users": [1, 1], "same_second": [1, 1]}


def test_ranges_grow_in_steps_of_1_2_and_5(tables):
    ratings = [(n, movie, 3.0, 0) for n in (1, 4, 9, 10, 49, 50) for movie in range(n)]
    speed = rating_velocity(tables(ratings).ratings)
    assert dict(zip(speed["low"], speed["users"], strict=True)) == {1: 1, 2: 1, 5: 1, 10: 1, 20: 1, 50: 1}
