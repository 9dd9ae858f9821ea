"""The ranking head: its formula, and the same answers from a fresh process."""

import subprocess
import sys

import numpy as np
import tensorflow as tf

from recommender.models.configuration import RankingHeadConfig
from recommender.models.ranking_head import RankingHead
from recommender.models.saved_models import load_signature, predicted_ratings, save_ranking_head

USER_VECTORS = np.array([[1.0, 0.0], [0.6, 0.8]], np.float32)
MOVIE_VECTORS = np.array([[0.0, 1.0], [0.8, 0.6], [1.0, 0.0]], np.float32)


def head_with_biases(n_users, n_movies):
    tf.keras.utils.set_random_seed(1)
    head = RankingHead(RankingHeadConfig(hidden=(3,)), n_users, n_movies, mean_rating=3.5)
    head(
        {
            "user_index": tf.constant([0]),
            "movie_index": tf.constant([0]),
            "user_vector": tf.constant(USER_VECTORS[:1]),
            "movie_vector": tf.constant(MOVIE_VECTORS[:1]),
        }
    )
    generator = np.random.default_rng(2)
    head.user_bias.set_weights([generator.normal(size=(n_users + 1, 1))])
    head.movie_bias.set_weights([generator.normal(size=(n_movies + 1, 1))])
    return head


def test_a_rating_is_the_mean_plus_both_biases_plus_the_network():
    head = head_with_biases(n_users=2, n_movies=3)
    predicted = head(
        {
            "user_index": tf.constant([1, -1]),
            "movie_index": tf.constant([2, 0]),
            "user_vector": tf.constant(USER_VECTORS[[1, 0]]),
            "movie_vector": tf.constant(MOVIE_VECTORS[[2, 0]]),
        }
    ).numpy()
    user_bias, movie_bias = head.user_bias.get_weights()[0][:, 0], head.movie_bias.get_weights()[0][:, 0]
    dense = [layer.get_weights() for layer in head._layers if layer.get_weights()]
    # Row 0 of the biases is for the unknown, so user 1 has row 2 and an unknown user row 0.
    for row, (user, movie, x, y) in enumerate(
        [(2, 3, USER_VECTORS[1], MOVIE_VECTORS[2]), (0, 1, USER_VECTORS[0], MOVIE_VECTORS[0])]
    ):
        hidden = np.maximum(np.concatenate([x, y, x * y]) @ dense[0][0] + dense[0][1], 0)
        expected = 3.5 + user_bias[user] + movie_bias[movie] + (hidden @ dense[1][0] + dense[1][1])[0]
        np.testing.assert_allclose(predicted[row], expected, rtol=1e-5)


def test_a_saved_head_gives_the_same_ratings_in_a_fresh_process(transformed, tmp_path):
    head = head_with_biases(transformed.n_users, transformed.n_movies)
    save_ranking_head(head, transformed, 2, tmp_path / "ranker")
    users = np.random.default_rng(3).normal(size=(transformed.n_users, 2)).astype(np.float32)
    movies = np.random.default_rng(4).normal(size=(transformed.n_movies, 2)).astype(np.float32)
    test = transformed.interactions("test").known()
    expected = head(
        {
            "user_index": tf.constant(test.user_index),
            "movie_index": tf.constant(test.movie_index),
            "user_vector": tf.constant(users[test.user_index]),
            "movie_vector": tf.constant(movies[test.movie_index]),
        }
    ).numpy()
    pairs = {"user_index": test.user_index, "movie_index": test.movie_index, "users": users, "movies": movies}
    here = predicted_ratings(load_signature(tmp_path / "ranker"), transformed, **pairs, batch_size=100)
    np.testing.assert_allclose(here, expected, rtol=1e-5)

    np.savez(tmp_path / "pairs.npz", **pairs)
    script = f"""
import numpy as np
from pathlib import Path
from recommender.features.transformed_examples import TransformedExamples
from recommender.models.saved_models import load_signature, predicted_ratings
folder = Path({str(tmp_path)!r})
pairs = dict(np.load(folder / "pairs.npz"))
examples = TransformedExamples(Path({str(transformed.folder)!r}))
np.save(folder / "ratings.npy", predicted_ratings(load_signature(folder / "ranker"), examples, **pairs))
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    np.testing.assert_allclose(np.load(tmp_path / "ratings.npy"), expected, rtol=1e-5)
