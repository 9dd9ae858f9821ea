import math

import pytest

from recommender.analysis.rating_spread import share_between_users


def test_the_share_is_that_of_the_analysis_of_variance(tables):
    # Means 2 and 4 of all 3: between 2 * 1 + 2 * 1 = 4; in all 4 + 0 + 0 + 4 = 8.
    ratings = [(1, 1, 1.0, 0), (1, 2, 3.0, 0), (2, 1, 3.0, 0), (2, 2, 5.0, 0)]
    assert share_between_users(tables(ratings).ratings) == pytest.approx(4 / 8)


def test_equal_ratings_have_no_share(tables):
    assert math.isnan(share_between_users(tables([(1, 1, 3.0, 0), (2, 2, 3.0, 0)]).ratings))
