import math

import pytest

from recommender.analysis.genre_taste import genre_taste


def test_taste_is_told_beside_what_users_give_otherwise(tables):
    movies = [(movie, ["War"] if movie < 5 else ["Drama", "Western"], None) for movie in range(10)]
    # User 1 gives five war movies 5 and five others 3, user 2 three others 2.
    ratings = [(1, movie, 5.0 if movie < 5 else 3.0, 0) for movie in range(10)]
    ratings += [(2, movie, 2.0, 0) for movie in (5, 6, 7)]
    taste = genre_taste(*tables(ratings, movies))
    assert taste.index.tolist() == ["Drama", "Western", "War"]
    assert taste["users"].tolist() == [1, 1, 1 / 2]
    # Of five ratings each the first by name counts: Drama with both users.
    assert taste["favourite"].tolist() == [1, 0, 0]
    # User 1's mean is 4; user 2 has too few ratings to tell.
    assert taste.loc["War", "mean_difference"] == pytest.approx(5 - 4)
    assert taste.loc["Drama", "mean_difference"] == pytest.approx(3 - 4)
    assert taste.loc["Drama", "std_difference"] == pytest.approx(0)


def test_a_genre_that_nobody_knows_well_has_no_difference(tables):
    taste = genre_taste(*tables([(1, 1, 4.0, 0)], [(1, ["War"], None)]))
    assert math.isnan(taste.loc["War", "mean_difference"])
