import math
from statistics import fmean, pstdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.features.movie import movie_features

GENRES = ["Action", "Comedy", "Drama", "War"]
T = 900_000_000


def of(table):
    return {row["movie_id"]: row for row in table.to_pyarrow().to_pylist()}


def trend(own):
    times = [row[3] for row in own if row[3] is not None]
    recent = [row[2] for row in own if times and row[3] - min(times) > max(times) - row[3]]
    old = [row[2] for row in own if times and row[3] - min(times) < max(times) - row[3]]
    return fmean(recent) - fmean(old) if recent else 0


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_movie_features_agree_with_plain_python(data, rating_rows, movie_rows, tables):
    rows = data.draw(rating_rows)

    features = of(movie_features(*tables(rows), GENRES))

    assert sorted(features) == [1, 2, 3, 4, 5, 6]
    for index, (movie, genres, year) in enumerate(movie_rows):
        own = [row for row in rows if row[1] == movie]
        ratings = [row[2] for row in own]
        assert features[movie] == {
            "movie_id": movie,
            "movie_index": index,
            "popularity": pytest.approx(math.log(len(own) + 1), rel=1e-6),
            "avg_rating": pytest.approx(fmean(ratings or [row[2] for row in rows]), rel=1e-6),
            "rating_std": pytest.approx(pstdev(ratings) if ratings else 0, rel=1e-5, abs=1e-7),
            "rating_count": len(own),
            "genres": genres or [],
            "release_year": year,
            "rating_trend": pytest.approx(trend(own), rel=1e-5, abs=1e-6),
            "genre_vector": [float(genre in (genres or [])) for genre in GENRES],
        }


def test_a_rating_in_the_middle_of_the_time_belongs_to_neither_half(tables):
    # From 0 to 10 seconds: 1.0, 2.0 and 1.5 are old, 0.5 is in the middle, 4.0 is recent.
    rows = [
        (user, 1, rating, T + second)
        for user, (rating, second) in enumerate([(1.0, 0), (2.0, 0), (1.5, 4), (0.5, 5), (4.0, 10)])
    ]

    assert of(movie_features(*tables(rows), GENRES))[1]["rating_trend"] == 4 - (1 + 2 + 1.5) / 3


@pytest.mark.parametrize("timestamp", [T, None])
def test_ratings_of_one_second_or_of_unknown_time_have_no_trend(tables, timestamp):
    rows = [(1, 1, 1.0, timestamp), (2, 1, 5.0, timestamp)]

    assert of(movie_features(*tables(rows), GENRES))[1]["rating_trend"] == 0


def test_one_rating_has_neither_spread_nor_trend(tables):
    features = of(movie_features(*tables([(1, 1, 3.7, T)]), GENRES))[1]

    assert (features["rating_std"], features["rating_trend"], features["rating_count"]) == (0, 0, 1)


def test_without_genres_the_vector_is_empty(tables):
    rows = of(movie_features(*tables([(1, 1, 3.0, T)], [(1, [], None)]), []))

    assert rows[1]["genre_vector"] == []
    assert rows[1]["release_year"] is None
