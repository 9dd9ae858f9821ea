"""The two towers: losses, what a user vector is made of, and SavedModels in another process."""

import math
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from recommender.features.transformed_examples import History
from recommender.models.configuration import MovieTowerConfig, TwoTowerConfig, UserTowerConfig
from recommender.models.saved_models import PADDING, load_signature, save_movie_tower, save_user_tower
from recommender.models.two_tower import TwoTowerModel

EVERYTHING = TwoTowerConfig(
    dimension=8,
    user_tower=UserTowerConfig(use_id=True, use_features=True, hidden=(16,), history_weights="rating"),
    movie_tower=MovieTowerConfig(use_features=True, hidden=(16,)),
)


@pytest.fixture(scope="module")
def history(transformed):
    return History.of(transformed.interactions("train"), transformed.n_users)


def model_of(config, transformed, history):
    tf.keras.utils.set_random_seed(0)
    counts = np.bincount(history.movie_index, minlength=transformed.n_movies)
    return TwoTowerModel(config, transformed, counts)


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
    for vectors in (model.user_vectors(history), model.movie_vectors()):
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
