"""Baselines, each beside a second implementation or arithmetic, and the choice of their hyperparameters."""

import sys

import numpy as np
import pytest

from recommender.errors import TrainingError
from recommender.evaluation.baselines import (
    BASELINES,
    BaselinesConfig,
    ease,
    fit_baseline,
    fit_baselines,
    ials,
    item_knn,
    linear_scorer,
    most_popular,
    recently_popular,
)
from recommender.evaluation.evaluator import evaluate_ranking
from recommender.evaluation.relevant import relevant_ratings
from recommender.features.transformed_examples import History, Interactions

DAY = 86_400
N_USERS, N_MOVIES = 60, 25


def interactions(rows):
    """From (user, movie, timestamp)."""
    user, movie, timestamp = (np.array(column) for column in zip(*rows, strict=True))
    rating = np.full(len(user), 4.0, np.float32)
    return Interactions(user.astype(np.int32), movie.astype(np.int32), rating, timestamp.astype(np.int64))


@pytest.fixture(scope="module")
def rated():
    """Who has rated what, bool [users, movies]; nobody the last movie, and the last user nothing."""
    random = np.random.default_rng(5)
    taste = random.normal(size=(N_USERS, 3)) @ random.normal(size=(3, N_MOVIES))
    matrix = taste + random.normal(size=taste.shape) > 0.8
    matrix[:, -1] = False
    matrix[-1] = False
    return matrix


@pytest.fixture(scope="module")
def history(rated):
    return History.of(interactions([(user, movie, 0) for user, movie in np.argwhere(rated)]), N_USERS)


@pytest.fixture(params=[2**24, 3 * N_MOVIES], ids=["one block", "blocks of three movies"])
def blocks(request, monkeypatch):
    monkeypatch.setattr("recommender.evaluation.baselines.rating_matrix._BLOCK_ELEMENTS", request.param)
    # The package gives the function the name of its module.
    monkeypatch.setattr(sys.modules[ease.__module__], "_MIRRORED_ROWS", 7)


def test_most_popular_counts_ratings():
    rows = interactions([(0, 0, 1), (0, 1, 2), (1, 1, 3), (1, 2, 4), (2, 1, 5)])

    assert most_popular(History.of(rows, 3), 4)(1, 3).tolist() == [[1, 3, 1, 0], [1, 3, 1, 0]]


def test_recently_popular_counts_the_last_days_and_then_everything():
    newest = 100 * DAY
    # Movie 0: three ratings long ago. Movie 1: one in the window. Movie 2: two, one a second too old.
    # Movie 3: two in the window. Movie 4: one long ago. Movie 5: none.
    rows = interactions(
        [
            *((user, 0, 0) for user in range(3)),
            (0, 1, newest - 30 * DAY + 1),
            (0, 2, newest - 30 * DAY),
            (1, 2, newest - DAY),
            (0, 3, newest),
            (1, 3, newest - 2 * DAY),
            (3, 4, 5),
        ]
    )

    scores = recently_popular(rows, 6, days=30)(0, 2)

    # In the window 0, 1, 1, 2, 0, 0; in all 3, 1, 2, 2, 1, 0.
    assert np.argsort(-scores[0], kind="stable").tolist() == [3, 2, 1, 0, 4, 5]
    assert len(np.unique(scores[0])) == 6
    assert (scores[0] == scores[1]).all()


def test_without_times_recently_popular_is_most_popular(history):
    rows = interactions([(user, movie, 0) for user in range(3) for movie in range(user + 1)])

    assert recently_popular(rows, 4, days=30)(0, 1).tolist() == [[3, 2, 1, 0]]


def test_item_knn_on_a_hand_worked_case():
    # Movies 0 and 1 are rated by users 0 and 1, movie 2 by user 1 only: n = 2, 2, 1.
    rows = interactions([(0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 0), (1, 2, 0)])

    scores = item_knn(History.of(rows, 2), 3, neighbours=1, shrinkage=1.0)(0, 1)

    # 0 and 1 are nearest to each other: 2 / (sqrt(2 * 2) + 1). Of 2, both are alike: the first speaks for it,
    # 1 / (sqrt(2 * 1) + 1).
    assert scores[0] == pytest.approx([2 / 3, 2 / 3, 1 / (np.sqrt(2) + 1)])


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize(("neighbours", "shrinkage"), [(3, 0.0), (5, 10.0), (1000, 2.0)])
def test_item_knn_equals_a_loop_over_pairs(rated, history, neighbours, shrinkage):
    weights = np.zeros((N_MOVIES, N_MOVIES))
    for movie in range(N_MOVIES):
        likeness = np.zeros(N_MOVIES)
        for other in range(N_MOVIES):
            common = (rated[:, movie] & rated[:, other]).sum()
            if other != movie and common:
                norm = np.sqrt(rated[:, movie].sum() * rated[:, other].sum())
                likeness[other] = np.float32(common / (norm + shrinkage))
        nearest = np.argsort(-likeness, kind="stable")[:neighbours]
        weights[nearest, movie] = likeness[nearest]

    scores = item_knn(history, N_MOVIES, neighbours, shrinkage)(10, N_USERS)

    np.testing.assert_allclose(scores, rated[10:] @ weights, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("regularization", [1.0, 50.0])
def test_ease_equals_its_closed_form_in_float64(rated, history, regularization):
    gram = rated.astype(np.float64).T @ rated + regularization * np.eye(N_MOVIES)
    inverse = np.linalg.inv(gram)
    weights = np.eye(N_MOVIES) - inverse / np.diag(inverse)

    scores = ease(history, N_MOVIES, regularization)(10, N_USERS)

    np.testing.assert_allclose(scores, rated[10:] @ weights, atol=1e-5)


def test_ease_is_each_movies_ridge_regression_on_the_others(rated, history):
    x, movie = rated.astype(np.float64), 4
    others = np.delete(x, movie, axis=1)
    coefficients = np.linalg.solve(others.T @ others + 20.0 * np.eye(N_MOVIES - 1), others.T @ x[:, movie])

    scores = ease(history, N_MOVIES, 20.0)(0, N_USERS)

    np.testing.assert_allclose(scores[:, movie], others @ coefficients, atol=1e-5)


def test_ease_says_what_it_needs_and_refuses_before_it_takes_it(history):
    # 62,423 squared times 4 bytes.
    with pytest.raises(
        TrainingError, match=r"62,423 movies needs 15\.6 GB.*ease\.memory_gb is 8.*leave EASE"
    ):
        ease(history, 62_423, 500.0)


def test_a_linear_model_scores_users_that_it_was_not_fitted_on():
    weights = np.array([[0.0, 2.0, 3.0], [5.0, 0.0, 7.0], [11.0, 13.0, 0.0]], np.float32)
    new = History.of(interactions([(0, 0, 0), (0, 2, 0), (1, 1, 0)]), 2)

    assert linear_scorer(new, weights)(0, 2).tolist() == [[11.0, 15.0, 3.0], [5.0, 0.0, 7.0]]


def test_ials_reaches_the_least_squares_that_it_is_defined_by(rated, history):
    alpha, penalty, factors = 5.0, 8.0, 6
    confidence, x = np.where(rated, alpha, 1.0), rated.astype(np.float64)
    random = np.random.default_rng(0)
    users, movies = random.normal(size=(N_USERS, factors)), random.normal(size=(N_MOVIES, factors))

    def solved(other, weights, targets):
        return np.array(
            [
                np.linalg.solve((other.T * c) @ other + penalty * np.eye(factors), (other.T * c) @ t)
                for c, t in zip(weights, targets, strict=True)
            ]
        )

    for _ in range(300):
        users = solved(movies, confidence, x)
        movies = solved(users, confidence.T, x.T)

    scores = ials(
        history, N_MOVIES, factors=factors, regularization=penalty, alpha=alpha, iterations=300, seed=3
    )(0, N_USERS)

    np.testing.assert_allclose(scores, users @ movies.T, atol=2e-2)
    assert np.ptp(scores) > 0.5


def parts_of(transformed):
    return (transformed.interactions(part).known() for part in ("train", "validation"))


def test_hyperparameters_are_those_best_on_the_validation_part(transformed):
    train, validation = parts_of(transformed)
    config = BaselinesConfig.from_mapping({"ease": {"regularization": [1e6, 0.5, 30.0]}})
    seen, relevant = (History.of(part, transformed.n_users) for part in (train, validation))
    reached = {
        value: evaluate_ranking(
            ease(seen, transformed.n_movies, value),
            seen=seen,
            relevant=relevant,
            n_movies=transformed.n_movies,
            ks=(10,),
        ).means["ndcg@10"]
        for value in config.ease.regularization
    }

    fitted = fit_baseline("ease", train, validation, train + validation, transformed, 0, config)

    chosen = fitted.hyperparameters["regularization"]
    assert reached[chosen] == max(reached.values()) > min(reached.values())
    expected = ease(History.of(train + validation, transformed.n_users), transformed.n_movies, chosen)(0, 9)
    np.testing.assert_array_equal(fitted.scorer(0, 9), expected)


def test_without_a_validation_part_the_first_values_are_taken(transformed):
    train, validation = parts_of(transformed)

    fitted = fit_baseline("item_knn", train, validation.none(), train, transformed, 0)

    assert fitted.hyperparameters == {"neighbours": 200, "shrinkage": 50.0}


def test_every_baseline_scores_every_user_and_is_the_same_again(transformed):
    train, validation = parts_of(transformed)
    config = BaselinesConfig.from_mapping({"ials": {"factors": [8]}})
    first, second = (
        fit_baselines(BASELINES, train, validation, train, transformed, 4, config) for _ in range(2)
    )

    assert tuple(first) == BASELINES
    for name, scorer in first.items():
        scores = scorer(0, transformed.n_users)
        assert scores.shape == (transformed.n_users, transformed.n_movies)
        assert scores.dtype == np.float32
        assert np.isfinite(scores).all()
        np.testing.assert_array_equal(scores, second[name](0, transformed.n_users))


def test_only_movies_rated_before_are_relevant_where_time_cuts_globally():
    fitted_on = interactions([(0, 0, 0), (1, 2, 0)])
    test = interactions([(0, 1, 9), (0, 2, 9), (-1, 0, 9), (1, 0, 9)])

    globally = relevant_ratings(test, fitted_on, "time_global")
    by_user = relevant_ratings(test, fitted_on, "time_user")

    assert list(zip(globally.user_index, globally.movie_index, strict=True)) == [(0, 2), (1, 0)]
    assert list(zip(by_user.user_index, by_user.movie_index, strict=True)) == [(0, 1), (0, 2), (1, 0)]
