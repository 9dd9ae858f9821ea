"""Slices: who is in them, and what they say, counted out by hand."""

import numpy as np
import pytest

from recommender.evaluation.evaluator import evaluate_ranking
from recommender.evaluation.slices import Slice, movie_slices, slice_values, user_slices
from recommender.features.transformed_examples import History


def history(*users):
    lengths = [len(movies) for movies in users]
    return History(
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.array([movie for movies in users for movie in movies], np.int32),
        np.full(sum(lengths), 4.0, np.float32),
    )


def members(slices):
    return {(one.by, one.name): np.flatnonzero(one.members).tolist() for one in slices}


def test_users_are_sliced_by_quartiles_of_activity_and_by_how_new_they_are():
    seen = history(*(range(n) for n in (0, 2, 4, 7, 12, 20, 30, 40)))
    found = members(user_slices(seen, judged=np.arange(8)))
    assert found == {
        ("activity", "0 to 2 ratings"): [0, 1],
        ("activity", "4 to 7 ratings"): [2, 3],
        ("activity", "12 to 20 ratings"): [4, 5],
        ("activity", "30 to 40 ratings"): [6, 7],
        ("new users", "no rating"): [0],
        ("new users", "1 to 4 ratings"): [1, 2],
        ("new users", "5 to 9 ratings"): [3],
        ("new users", "10 to 19 ratings"): [4],
    }


def test_users_who_are_all_alike_are_one_slice():
    seen = history([0, 1], [1, 2], [0, 2])
    found = members(user_slices(seen, judged=np.arange(3)))
    assert found[("activity", "2 to 2 ratings")] == [0, 1, 2]
    assert [by for by, _ in found].count("activity") == 1


def test_movies_are_sliced_by_thirds_of_the_ratings_genre_decade_and_how_new_they_are():
    popularity = np.array([12, 40, 30, 0, 20, 18])
    genres = np.array([[1, 0], [1, 1], [0, 1], [0, 0], [1, 0], [0, 1]], np.float32)
    years = np.array([1994.0, 1999.0, 2000.0, np.nan, 1989.0, 2009.0])
    found = members(movie_slices(popularity, genres, ["Comedy", "Drama"], years))
    # Of 120 ratings: 40 are the first third; 30 and 20 begin before 80; the rest begins at 90.
    assert found == {
        ("popularity", "head"): [1],
        ("popularity", "mid"): [2, 4],
        ("popularity", "tail"): [0, 3, 5],
        ("genre", "Comedy"): [0, 1, 4],
        ("genre", "Drama"): [1, 2, 5],
        ("era", "1980s"): [4],
        ("era", "1990s"): [0, 1],
        ("era", "2000s"): [2, 5],
        ("new movies", "no rating"): [3],
        ("new movies", "1 to 4 ratings"): [],
        ("new movies", "5 to 9 ratings"): [],
        ("new movies", "10 to 19 ratings"): [0, 5],
    }


def test_values_are_ndcg_of_users_and_recall_of_movies():
    # Everybody is shown movies 0 and 1; nobody has rated anything.
    scores = np.tile(np.array([3.0, 2.0, 1.0, 0.0], np.float32), (3, 1))
    relevant = history([0, 2], [], [1, 0, 3])
    quality = evaluate_ranking(
        lambda start, stop: scores[start:stop],
        seen=history([], [], []),
        relevant=relevant,
        n_movies=4,
        ks=(2,),
    )
    slices = [
        Slice("some", "the last user", "users", np.array([False, True, True])),
        Slice("some", "first and last movie", "movies", np.array([True, False, False, True])),
        Slice("some", "the third movie", "movies", np.array([False, False, True, False])),
    ]
    values = slice_values(slices, quality, relevant, n_movies=4, k=2)
    # A row for each user with a relevant movie. The first wants one of the slice and finds it; the other
    # wants two and finds one. Only the first wants the third movie, and does not find it.
    np.testing.assert_array_equal(
        values, [[np.nan, 1 / 1, 0 / 1], [quality.per_user["ndcg@2"][1], 1 / 2, np.nan]]
    )


def test_a_slice_of_all_movies_says_what_recall_says():
    generator = np.random.default_rng(0)
    scores = generator.random((20, 15)).astype(np.float32)
    relevant = history(*(generator.permutation(15)[: 1 + user % 4] for user in range(20)))
    nothing = history(*([] for _ in range(20)))
    quality = evaluate_ranking(
        lambda start, stop: scores[start:stop], seen=nothing, relevant=relevant, n_movies=15, ks=(5,)
    )
    everything = [Slice("all", "all", "movies", np.ones(15, np.bool_))]
    values = slice_values(everything, quality, relevant, n_movies=15, k=5)
    assert values.mean() == pytest.approx(quality.means["recall@5"])
