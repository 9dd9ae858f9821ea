import numpy as np
import pytest

from recommender.analysis.sparsity import coverage, sampled_matrix

# User u has rated the movies up to 10 - u: the staircase of a perfectly nested matrix.
STAIRCASE = [(user, movie, float(user % 5 + 1), 0) for user in range(10) for movie in range(10 - user)]


def test_the_whole_matrix_is_the_staircase(tables):
    matrix = sampled_matrix(tables(STAIRCASE).ratings, 10, 10, seed=0)
    expected = np.full((10, 10), np.nan)
    for user, movie, rating, _ in STAIRCASE:
        expected[user, movie] = rating
    np.testing.assert_array_equal(matrix, expected)


def test_a_sample_is_a_piece_of_the_matrix_and_repeatable(tables):
    ratings = tables(STAIRCASE).ratings
    piece = sampled_matrix(ratings, 4, 6, seed=1)
    assert piece.shape == (4, 6)
    np.testing.assert_array_equal(piece, sampled_matrix(ratings, 4, 6, seed=1))
    # Rows and columns with more ratings come first, so none begins after the one above it ends.
    rated = ~np.isnan(piece)
    assert (np.diff(rated.sum(axis=1)) <= 0).all()
    assert (np.diff(rated.sum(axis=0)) <= 0).all()


def test_coverage_is_the_share_of_rated_pairs(tables):
    shares = coverage(tables(STAIRCASE).ratings, groups=2)
    assert shares.index.tolist() == shares.columns.tolist() == [1, 2]
    # The five most active users have rated all of the first five movies, and 5 + 4 + 3 + 2 + 1 of the others.
    assert shares.to_numpy() == pytest.approx(np.array([[25, 15], [15, 0]]) / 25)
