"""The full-catalogue evaluator."""

import numpy as np
import pytest

from recommender.evaluation.evaluator import dot_product, evaluate_ranking, top_movies
from recommender.evaluation.metrics import (
    coverage,
    graded_ndcg_at_k,
    hit_rate_at_k,
    map_at_k,
    map_of_all_at_k,
    mrr_at_k,
    ndcg_at_k,
    precision_at_k,
    recall_at_k,
)
from recommender.features.transformed_examples import History, Interactions


def history(*users):
    pairs = [(user, movie) for user, movies in enumerate(users) for movie in movies]
    user_index, movie_index = (np.array([pair[i] for pair in pairs], np.int32) for i in (0, 1))
    interactions = Interactions(
        user_index, movie_index, np.full(len(pairs), 4.0, np.float32), np.arange(len(pairs), dtype=np.int64)
    )
    return History.of(interactions, len(users))


def test_seen_movies_never_come_back():
    scores = np.array([[9.0, 8.0, 7.0, 6.0]], np.float32)
    best = top_movies(lambda start, stop: scores[start:stop], history([0, 2]), 4, 3, 0, 1)
    # Two of four movies are left; the third place stays empty.
    assert best.tolist() == [[1, 3, -1]]


def test_what_a_scorer_holds_on_to_stays_as_it_was():
    scores = np.array([[9.0, 8.0, 7.0, 6.0]], np.float32)
    assert top_movies(lambda start, stop: scores, history([0, 2]), 4, 1, 0, 1).tolist() == [[1]]
    assert scores.tolist() == [[9.0, 8.0, 7.0, 6.0]]


def test_scores_that_are_no_numbers_are_refused():
    scores = np.zeros((3, 4), np.float32)
    scores[2, 1] = np.nan
    with pytest.raises(ValueError, match="user at position 2 are not numbers"):
        top_movies(lambda start, stop: scores, history([0], [0], [0]), 4, 2, 0, 3)


def test_ties_go_to_the_first_movie():
    scores = np.zeros((1, 5), np.float32)
    assert top_movies(lambda start, stop: scores, history([1]), 5, 3, 0, 1).tolist() == [[0, 2, 3]]


def test_ties_at_the_cut_go_to_the_first_movies_whatever_the_catalogue():
    scores = np.random.default_rng(8).integers(0, 5, (20, 300)).astype(np.float32)
    nothing = history(*([] for _ in range(20)))
    best = top_movies(lambda start, stop: scores[start:stop], nothing, 300, 20, 0, 20)
    assert best.tolist() == np.argsort(-scores, axis=1, kind="stable")[:, :20].tolist()


def test_asking_for_more_movies_than_there_are_leaves_places_empty():
    scores = np.array([[1.0, 2.0]], np.float32)
    assert top_movies(lambda start, stop: scores, history([]), 2, 4, 0, 1).tolist() == [[1, 0, -1, -1]]


def test_evaluator_equals_the_plain_metrics_user_by_user(monkeypatch):
    generator = np.random.default_rng(3)
    n_users, n_movies, k = 40, 30, 10
    scores = generator.normal(size=(n_users, n_movies)).astype(np.float32)
    drawn = [generator.permutation(n_movies) for _ in range(n_users)]
    seen = history(*(movies[:8] for movies in drawn))
    # Every fourth user has nothing to predict and is left out.
    relevant = history(*(movies[8 : 8 + user % 4] for user, movies in enumerate(drawn)))
    monkeypatch.setattr("recommender.evaluation.evaluator.BLOCK_ELEMENTS", 7 * n_movies)

    quality = evaluate_ranking(
        lambda start, stop: scores[start:stop], seen=seen, relevant=relevant, n_movies=n_movies, ks=(k,)
    )

    lists, wanted = [], []
    for user, movies in enumerate(drawn):
        if user % 4:
            unseen = [
                movie for movie in np.argsort(-scores[user]).tolist() if movie not in set(movies[:8].tolist())
            ]
            lists.append(unseen[:k])
            wanted.append(set(movies[8 : 8 + user % 4].tolist()))
    for name, metric in {
        "ndcg": ndcg_at_k,
        "recall": recall_at_k,
        "precision": precision_at_k,
        "map": map_at_k,
        "map_of_all": map_of_all_at_k,
        "hit_rate": hit_rate_at_k,
        "mrr": mrr_at_k,
    }.items():
        expected = np.mean(
            [metric(movies, relevant, k) for movies, relevant in zip(lists, wanted, strict=True)]
        )
        assert quality.means[f"{name}@10"] == pytest.approx(expected), name
    assert quality.means["coverage@10"] == coverage(lists, n_movies)
    assert (quality.n_users, quality.n_users_left_out) == (30, 10)
    low, high = quality.intervals["ndcg@10"]
    assert low < quality.means["ndcg@10"] < high


def test_ratings_are_the_gains_of_graded_ndcg():
    generator = np.random.default_rng(7)
    scores = generator.normal(size=(25, 30)).astype(np.float32)
    ratings = [
        {
            int(movie): float(generator.integers(1, 11)) / 2
            for movie in generator.permutation(30)[: 1 + user % 15]
        }
        for user in range(25)
    ]
    relevant = History(
        np.concatenate([[0], np.cumsum([len(of) for of in ratings])]).astype(np.int64),
        np.array([movie for of in ratings for movie in of], np.int32),
        np.array([rating for of in ratings for rating in of.values()], np.float32),
    )
    nothing = history(*([] for _ in range(25)))
    quality = evaluate_ranking(
        lambda start, stop: scores[start:stop], seen=nothing, relevant=relevant, n_movies=30, ks=(3, 10)
    )
    for k in (3, 10):
        expected = [
            graded_ndcg_at_k(np.argsort(-row).tolist(), of, k)
            for row, of in zip(scores, ratings, strict=True)
        ]
        np.testing.assert_allclose(quality.per_user[f"ndcg_graded@{k}"], expected, rtol=1e-5)


def test_users_left_out_do_not_move_what_lists_are_like():
    scores = np.random.default_rng(2).normal(size=(4, 30)).astype(np.float32)
    genres = (np.random.default_rng(3).random((30, 5)) < 0.4).astype(np.float32)
    seen = [[0, 1, 2], [3, 4], [5], [6, 7]]
    # The same users, once among others who have nothing to predict.
    among = evaluate_ranking(
        lambda start, stop: scores[start:stop],
        seen=history(*seen),
        relevant=history([9], [], [8], []),
        n_movies=30,
        ks=(5,),
        genres=genres,
    )
    alone = evaluate_ranking(
        lambda start, stop: scores[[0, 2]][start:stop],
        seen=history(seen[0], seen[2]),
        relevant=history([9], [8]),
        n_movies=30,
        ks=(5,),
        genres=genres,
    )
    assert among.users.tolist() == [0, 2]
    for name in ("diversity@5", "miscalibration@5", "ndcg@5", "coverage@5", "overlap@5"):
        assert among.means[name] == pytest.approx(alone.means[name]), name


def test_nothing_to_predict_is_an_error():
    with pytest.raises(ValueError, match="no user has a relevant movie"):
        evaluate_ranking(
            dot_product(np.ones((1, 2)), np.ones((3, 2))), seen=history([0]), relevant=history([]), n_movies=3
        )
