"""The two towers: losses, what a user vector is made of, and SavedModels in another process."""

import math
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest
import tensorflow as tf

from recommender.features.configuration import InputConfig
from recommender.features.input import rating_batches, user_batches
from recommender.features.transformed_examples import MOVIE_NUMBERS, History
from recommender.models.configuration import (
    MovieTowerConfig,
    RetrievalLoss,
    TwoTowerConfig,
    UserTowerConfig,
)
from recommender.models.saved_models import PADDING, load_signature, save_movie_tower, save_user_tower
from recommender.models.two_tower import TwoTowerModel

EVERYTHING = TwoTowerConfig(
    dimension=8,
    user_tower=UserTowerConfig(use_id=True, use_features=True, hidden=(16,), history_weights="rating"),
    movie_tower=MovieTowerConfig(use_features=True, hidden=(16,), id_dropout=0.1),
)
LOSSES = get_args(RetrievalLoss)


@pytest.fixture(scope="module")
def history(transformed):
    return History.of(transformed.interactions("train"), transformed.n_users)


def model_of(config, transformed, history):
    tf.keras.utils.set_random_seed(0)
    counts = np.bincount(history.movie_index, minlength=transformed.n_movies)
    return TwoTowerModel(config, transformed, counts, seed=0)


def batch_for(model, transformed):
    batches = user_batches if model.reads == "users" else rating_batches
    return next(iter(batches(transformed, ("train",), 16, InputConfig(), seed=1)))


def test_history_tower_is_the_normalised_sum_of_the_rated_movies_vectors(transformed, history):
    model = model_of(TwoTowerConfig(dimension=8), transformed, history)
    vector = model.user_vectors(history)[3]
    table = model.user_tower.history_embedding.get_weights()[0]
    rated = table[history.rows(3, 4).movie_index + 1]
    total = (rated / np.linalg.norm(rated, axis=1, keepdims=True)).sum(axis=0)
    np.testing.assert_allclose(vector, total / np.linalg.norm(total), atol=1e-5)


def test_rating_weights_count_a_movie_as_much_as_it_was_liked(transformed, history):
    config = TwoTowerConfig(dimension=8, user_tower=UserTowerConfig(history_weights="rating"))
    model = model_of(config, transformed, history)
    vector = model.user_vectors(history)[3]
    rows = history.rows(3, 4)
    rated = model.user_tower.history_embedding.get_weights()[0][rows.movie_index + 1]
    total = (rated / np.linalg.norm(rated, axis=1, keepdims=True) * rows.rating[:, None]).sum(axis=0)
    np.testing.assert_allclose(vector, total / np.linalg.norm(total), atol=1e-5)


@pytest.mark.parametrize("config", [TwoTowerConfig(dimension=8), EVERYTHING])
def test_normalised_vectors_have_length_one(config, transformed, history):
    model = model_of(config, transformed, history)
    rated = np.unique(history.movie_index)
    for vectors in (model.user_vectors(history), model.movie_vectors()[rated]):
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_user_vectors_do_not_depend_on_the_batch_they_are_computed_in(transformed, history):
    model = model_of(EVERYTHING, transformed, history)
    np.testing.assert_allclose(
        model.user_vectors(history, batch_size=7), model.user_vectors(history), atol=1e-6
    )


def test_in_batch_softmax_subtracts_the_log_of_how_often_each_movie_is_drawn(transformed, history):
    config = TwoTowerConfig(dimension=8, loss="in_batch_softmax", temperature=0.5)
    model = model_of(config, transformed, history)
    users, movies = [0, 1], [int(history.rows(user, user + 1).movie_index[0]) for user in (0, 1)]
    batch = {
        "user_index": tf.constant(users),
        "history": tf.RaggedTensor.from_row_splits(
            history.rows(0, 2).movie_index, history.rows(0, 2).row_splits
        ),
        "history_rating": tf.RaggedTensor.from_row_splits(
            history.rows(0, 2).rating, history.rows(0, 2).row_splits
        ),
        "movie_index": tf.constant(movies),
    }
    scores = model.user_vectors(history)[users] @ model.movie_vectors()[movies].T / 0.5
    counts = np.bincount(history.movie_index, minlength=transformed.n_movies)
    # A movie that is drawn often would otherwise be pushed away for being popular: its score is lowered in
    # the loss by log p, so that the model itself need not lower it.
    corrected = scores - np.log(counts[movies] / counts.sum())
    expected = np.mean([math.log(np.exp(row).sum()) - row[place] for place, row in enumerate(corrected)])
    assert float(model.compute_loss(batch)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_says_what_it_reads_and_moves_both_towers(loss, transformed, history):
    model = model_of(EVERYTHING.model_copy(update={"loss": loss}), transformed, history)
    with tf.GradientTape() as tape:
        value = model.compute_loss(batch_for(model, transformed), training=True)
    gradients = tape.gradient(value, model.trainable_variables)
    assert np.isfinite(float(value))
    assert not [
        variable.name
        for variable, gradient in zip(model.trainable_variables, gradients, strict=True)
        if gradient is None
    ]


@pytest.mark.parametrize("loss", ["full_softmax", "bpr"])
def test_rating_weight_mixes_the_squared_error_of_ratings_in(loss, transformed, history):
    config = TwoTowerConfig(dimension=8, loss=loss, rating_weight=0.7)
    mixed = model_of(config, transformed, history)
    batch = batch_for(mixed, transformed)
    loss = float(mixed.compute_loss(batch))
    retrieval, error = (
        float(
            model_of(config.model_copy(update={"rating_weight": weight}), transformed, history).compute_loss(
                batch
            )
        )
        for weight in (0.0, 1.0)
    )
    assert loss == pytest.approx(0.7 * error + 0.3 * retrieval, rel=1e-5)

    users, movies = mixed.user_tower(mixed._with_features(batch)).numpy(), mixed.movie_vectors()
    if mixed.reads == "users":
        user, movie = batch["history"].value_rowids().numpy(), batch["history"].values.numpy()
        rating = batch["history_rating"].values.numpy()
    else:
        user, movie, rating = np.arange(len(users)), batch["movie_index"].numpy(), batch["rating"].numpy()
    cosine = (users[user] * movies[movie]).sum(axis=1)
    assert error == pytest.approx(np.mean((0.5 + 4.5 * (cosine + 1) / 2 - rating) ** 2), rel=1e-4)


def test_reconstruction_puts_ratings_back_where_the_history_is_weighted_by_them(transformed, history):
    def loss(weights):
        user_tower = UserTowerConfig(history_weights=weights)
        config = TwoTowerConfig(dimension=8, loss="reconstruction", user_tower=user_tower)
        model = model_of(config, transformed, history)
        batch = batch_for(model, transformed)
        users = model.user_tower(model._with_features(batch)).numpy()
        target = np.zeros((len(users), transformed.n_movies))
        values = batch["history_rating"].values.numpy() if weights == "rating" else 1.0
        target[batch["history"].value_rowids(), batch["history"].values] = values
        scores = users @ model.movie_vectors().T
        cosine = (scores * target).sum(axis=1)
        cosine /= np.linalg.norm(scores, axis=1) * np.linalg.norm(target, axis=1)
        assert float(model.compute_loss(batch)) == pytest.approx(np.mean(2 - 2 * cosine), rel=1e-4)

    loss("uniform")
    loss("rating")


def test_what_is_drawn_after_a_checkpoint_is_drawn_again(transformed, history, tmp_path):
    model = model_of(EVERYTHING.model_copy(update={"loss": "bpr"}), transformed, history)
    batch = batch_for(model, transformed)
    model.compute_loss(batch, training=True)
    saved = tf.train.Checkpoint(model=model).save(str(tmp_path / "checkpoint"))
    expected = [float(model.compute_loss(batch, training=True)) for _ in range(3)]

    other = model_of(EVERYTHING.model_copy(update={"loss": "bpr"}), transformed, history)
    other.compute_loss(batch)
    tf.train.Checkpoint(model=other).restore(saved)
    assert [float(other.compute_loss(batch, training=True)) for _ in range(3)] == expected
    assert len(set(expected)) == 3


def test_a_movie_without_training_ratings_is_what_its_features_say(transformed, history):
    config = TwoTowerConfig(dimension=8, movie_tower=MovieTowerConfig(use_features=True))
    tf.keras.utils.set_random_seed(0)
    counts = np.bincount(history.movie_index, minlength=transformed.n_movies)
    counts[5] = 0
    model = TwoTowerModel(config, transformed, counts)
    features = {
        "movie_numbers": tf.constant(transformed.movie_numbers[[5, 5]]),
        "movie_genres": tf.constant(transformed.movie_genres[[5, 5]]),
    }
    own, unknown = model.movie_tower({"movie_index": tf.constant([5, -1]), **features}).numpy()
    np.testing.assert_array_equal(own, unknown)
    rated = int(np.flatnonzero(counts)[0])
    own, unknown = model.movie_tower({"movie_index": tf.constant([rated, -1]), **features}).numpy()
    assert not np.allclose(own, unknown)


def test_id_dropout_shows_a_movie_as_if_nobody_had_rated_it_and_only_in_training(transformed, history):
    movie_tower = MovieTowerConfig(use_features=True, id_dropout=0.999999)
    model = model_of(TwoTowerConfig(dimension=8, movie_tower=movie_tower), transformed, history)
    rated = np.unique(history.movie_index)[:5]
    inputs = {
        "movie_index": tf.constant(rated),
        "movie_numbers": tf.constant(transformed.movie_numbers[rated]),
        "movie_genres": tf.constant(transformed.movie_genres[rated]),
    }
    # No popularity, count, spread or trend, the mean of all ratings, but its own year and genres.
    numbers = transformed.movie_numbers[rated].copy()
    for name in ("popularity", "rating_std", "rating_count", "rating_trend"):
        numbers[:, MOVIE_NUMBERS.index(name)] = 0
    numbers[:, MOVIE_NUMBERS.index("avg_rating")] = history.rating.mean()
    unrated = {**inputs, "movie_index": tf.fill([5], -1), "movie_numbers": tf.constant(numbers)}
    hidden = model.movie_tower(inputs, training=True).numpy()
    np.testing.assert_allclose(hidden, model.movie_tower(unrated).numpy(), atol=1e-5)
    assert not np.allclose(hidden, model.movie_tower(inputs).numpy(), atol=1e-2)


def test_id_dropout_needs_something_else_to_look_at():
    with pytest.raises(ValueError, match="id_dropout needs use_features"):
        MovieTowerConfig(id_dropout=0.1)


@pytest.mark.parametrize("loss", LOSSES)
def test_mixed_precision_gives_about_the_same_loss(loss, transformed, history):
    config = EVERYTHING.model_copy(update={"loss": loss, "rating_weight": 0.5})
    exact = model_of(config, transformed, history)
    batch = batch_for(exact, transformed)
    expected = float(exact.compute_loss(batch))
    policy = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        mixed = model_of(config, transformed, history)
        assert float(mixed.compute_loss(batch)) == pytest.approx(expected, rel=0.01)
        assert mixed.movie_vectors().dtype == np.float32
    finally:
        tf.keras.mixed_precision.set_global_policy(policy)


def test_sharing_an_embedding_needs_one_to_share():
    with pytest.raises(ValueError, match=r"share_movie_embedding needs movie_tower\.use_id"):
        TwoTowerConfig(
            user_tower=UserTowerConfig(share_movie_embedding=True),
            movie_tower=MovieTowerConfig(use_id=False, use_features=True),
        )


def test_a_tower_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one of use_id, use_history, use_features"):
        UserTowerConfig(use_history=False)


@pytest.mark.parametrize("config", [TwoTowerConfig(dimension=8), EVERYTHING])
def test_saved_towers_give_the_same_vectors_in_a_fresh_process(config, transformed, history, tmp_path):
    model = model_of(config, transformed, history)
    save_user_tower(model.user_tower, transformed, tmp_path / "user_tower")
    save_movie_tower(model.movie_tower, transformed, tmp_path / "movie_tower")
    script = f"""
import numpy as np
from pathlib import Path
from recommender.features.transformed_examples import History, TransformedExamples
from recommender.models.saved_models import load_signature, movie_vectors, user_vectors
folder = Path({str(tmp_path)!r})
examples = TransformedExamples(Path({str(transformed.folder)!r}))
history = History.of(examples.interactions("train"), examples.n_users)
np.save(folder / "users.npy", user_vectors(load_signature(folder / "user_tower"), examples, history, 64))
np.save(folder / "movies.npy", movie_vectors(load_signature(folder / "movie_tower"), examples))
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    np.testing.assert_allclose(np.load(tmp_path / "users.npy"), model.user_vectors(history), atol=1e-5)
    np.testing.assert_allclose(np.load(tmp_path / "movies.npy"), model.movie_vectors(), atol=1e-5)


def test_saved_user_tower_passes_over_padding_and_unknown_movies(transformed, history, tmp_path):
    model = model_of(TwoTowerConfig(dimension=8), transformed, history)
    save_user_tower(model.user_tower, transformed, tmp_path / "user_tower")
    tower = load_signature(tmp_path / "user_tower")
    known = transformed.movie_ids[:2].tolist()

    def vector(movie_ids):
        answer = tower(
            user_id=tf.constant([-5], tf.int64),
            history_movie_id=tf.constant([movie_ids], tf.int64),
            history_rating=tf.ones([1, len(movie_ids)]),
            user_numbers=tf.zeros([1, 6]),
            user_genres=tf.zeros([1, len(transformed.vocabulary.genres)]),
        )
        return answer["embedding"].numpy()[0]

    np.testing.assert_allclose(vector(known), vector([known[0], 10**12, known[1], PADDING]), atol=1e-6)
    assert not vector([PADDING]).any()


def test_an_unknown_user_is_what_they_have_rated_and_nothing_else(transformed, history):
    with_id = TwoTowerConfig(dimension=8, user_tower=UserTowerConfig(use_id=True))
    model = model_of(with_id, transformed, history)
    rows = history.rows(3, 4)
    unknown = {
        "user_index": tf.constant([-1]),
        "history": tf.RaggedTensor.from_row_splits(rows.movie_index, rows.row_splits),
        "history_rating": tf.RaggedTensor.from_row_splits(rows.rating, rows.row_splits),
    }
    vector = model.user_tower(unknown).numpy()[0]
    rated = model.user_tower.history_embedding.get_weights()[0][rows.movie_index + 1]
    total = (rated / np.linalg.norm(rated, axis=1, keepdims=True)).sum(axis=0)
    np.testing.assert_allclose(vector, total / np.linalg.norm(total), atol=1e-5)


def test_signatures_name_every_input(transformed, history, tmp_path):
    model = model_of(TwoTowerConfig(dimension=8), transformed, history)
    save_user_tower(model.user_tower, transformed, tmp_path / "user_tower")
    save_movie_tower(model.movie_tower, transformed, tmp_path / "movie_tower")
    user = load_signature(tmp_path / "user_tower").structured_input_signature[1]
    movie = load_signature(tmp_path / "movie_tower").structured_input_signature[1]
    assert set(user) == {"user_id", "history_movie_id", "history_rating", "user_numbers", "user_genres"}
    assert set(movie) == {"movie_id", "movie_numbers", "movie_genres"}
    assert user["history_movie_id"].shape.as_list() == [None, None]
