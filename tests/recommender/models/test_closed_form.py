"""What is put beside the learned vectors: its scale, its scores, and how a history's age counts."""

import numpy as np
import pytest
import tensorflow as tf

from recommender.features.transformed_examples import History
from recommender.models.closed_form import ClosedForm
from recommender.models.configuration import (
    MovieTowerConfig,
    RecentPopularityConfig,
    TwoTowerConfig,
    UserTowerConfig,
)
from recommender.models.low_rank_ease import LowRankEaseConfig, low_rank_ease
from recommender.models.two_tower import TwoTowerModel

EASE = LowRankEaseConfig(rank=6, weight=0.5, regularization=10.0)
BOTH = TwoTowerConfig(dimension=8, low_rank_ease=EASE, recent_popularity=RecentPopularityConfig(days=100))


@pytest.fixture(scope="module")
def ratings(transformed):
    return transformed.interactions("train")


@pytest.fixture(scope="module")
def history(transformed, ratings):
    return History.of(ratings, transformed.n_users)


def model_of(config, transformed, history):
    tf.keras.utils.set_random_seed(0)
    counts = np.bincount(history.movie_index, minlength=transformed.n_movies)
    return TwoTowerModel(config, transformed, counts, seed=0)


@pytest.fixture(scope="module")
def vectors(transformed, ratings, history):
    model = model_of(BOTH, transformed, history)
    ClosedForm(BOTH, ratings, history, transformed.n_movies).put_beside(model, recent_weight=2.0)
    return model.user_vectors(history), model.movie_vectors()


def test_every_part_has_its_place_in_the_vectors(vectors):
    assert [part.shape[1] for part in vectors] == [BOTH.output_dimension] * 2 == [8 + 6 + 1] * 2


def test_scores_of_ease_differ_by_their_weight_of_what_the_learned_ones_do(vectors, history):
    users, movies = vectors
    has_ratings = history.lengths > 0
    learned, ease = (users[has_ratings][:, part] @ movies[:, part].T for part in (slice(8), slice(8, 14)))
    assert np.std(ease) == pytest.approx(0.5 * np.std(learned), rel=1e-3)


def test_a_user_gets_the_same_order_by_ease_as_from_ease_itself(vectors, history, transformed):
    users, movies = vectors
    ease = low_rank_ease(history, transformed.n_movies, EASE)
    rated = history.rows(3, 4).movie_index
    wanted = ease.of_history[rated].sum(axis=0) @ ease.of_movie.T
    got = users[3, 8:14] @ movies[:, 8:14].T
    np.testing.assert_allclose(got / np.linalg.norm(got), wanted / np.linalg.norm(wanted), atol=1e-4)


def test_recent_popularity_counts_only_the_last_days_and_for_all_alike(vectors, ratings, transformed):
    users, movies = vectors
    late = ratings.timestamp > ratings.timestamp.max() - 100 * 86_400
    counts = np.bincount(ratings.movie_index[late], minlength=transformed.n_movies)
    share = movies[:, 14]
    np.testing.assert_allclose(share / share.max(), counts / counts.max(), atol=1e-6)
    np.testing.assert_array_equal(users[:, 14], 1.0)


def test_an_older_movie_counts_half_after_a_half_life(transformed, history):
    config = TwoTowerConfig(dimension=8, user_tower=UserTowerConfig(half_lives=(2.0,)))
    model = model_of(config, transformed, history)
    user = int(np.argmax(history.lengths))
    whole = model.user_vectors(history)[user]
    model.user_tower.half_life.assign(2.0)
    rated = history.rows(user, user + 1).movie_index
    table = model.user_tower.history_embedding.get_weights()[0][rated + 1]
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    # The last counts 1, the one before 2 ** -0.5, the one before that 1 / 2.
    weight = 2.0 ** (-np.arange(len(rated))[::-1] / 2)
    for got, total in ((whole, table.sum(axis=0)), (model.user_vectors(history)[user], weight @ table)):
        np.testing.assert_allclose(got, total / np.linalg.norm(total), atol=1e-5)


def test_a_new_movie_gets_the_vector_that_rated_movies_of_its_kind_have_on_average(
    transformed, ratings, history
):
    config = TwoTowerConfig(dimension=8, movie_tower=MovieTowerConfig(new_movies=1e-6))
    model = model_of(config, transformed, history)
    ClosedForm(config, ratings, history, transformed.n_movies).put_beside(model)
    described = model.movie_tower.described(model.movie_inputs).numpy()
    counts = np.bincount(history.movie_index, minlength=transformed.n_movies)
    vectors = model.movie_vectors()
    # With hardly any regularization: weighted least squares, here by repeating each movie's row.
    rows = np.repeat(np.arange(len(counts)), counts)
    solved, *_ = np.linalg.lstsq(described[rows], vectors[rows], rcond=None)
    new = {
        "movie_index": tf.constant([-1]),
        "movie_numbers": model.movie_inputs["movie_numbers"][:1],
        "movie_genres": model.movie_inputs["movie_genres"][:1],
    }
    np.testing.assert_allclose(model.movie_tower(new).numpy()[0], described[0] @ solved, atol=1e-3)
    # What is rated keeps what it has learned.
    learned = model.movie_tower.learned(model.movie_inputs).numpy()
    np.testing.assert_array_equal(vectors[counts > 0], learned[counts > 0])
