"""What answers without TensorFlow gives what the SavedModels give, whatever the towers are made of."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from recommender.errors import ReleaseError
from recommender.features.history_features import HistoryFeatures
from recommender.features.transformed_examples import History
from recommender.models.configuration import (
    MovieTowerConfig,
    RecentPopularityConfig,
    TwoTowerConfig,
    UserTowerConfig,
)
from recommender.models.lite_models import save_online_model
from recommender.models.low_rank_ease import LowRankEaseConfig
from recommender.models.ranking_head import RankingHead
from recommender.models.ranking_head_configuration import RankingHeadConfig
from recommender.models.saved_models import load_signature, save_ranking_head, save_user_tower
from recommender.models.two_tower import TwoTowerModel
from recommender.retrieval.lite_model import LiteModel

CONFIGS = {
    "history": UserTowerConfig(),
    "rating weights, tied": UserTowerConfig(history_weights="rating", share_movie_embedding=True),
    "id": UserTowerConfig(use_id=True, use_history=False),
    "id, history, features": UserTowerConfig(use_id=True, use_features=True),
    "dense, batch norm": UserTowerConfig(use_id=True, use_features=True, hidden=(16, 12), id_dimension=10),
    "half-life": UserTowerConfig(half_lives=(2.0,)),
}
UNKNOWN_MOVIE = -1
ASKED = 12
CANDIDATES = 30


@pytest.fixture(scope="module")
def history(transformed):
    return History.of(transformed.interactions("train").known(), transformed.n_users)


def model_of(tower, transformed, history, normalize):
    """Towers with weights, and statistics of batches, that no initializer gives."""
    config = TwoTowerConfig(
        dimension=8,
        normalize=normalize,
        low_rank_ease=LowRankEaseConfig(rank=4),
        recent_popularity=RecentPopularityConfig(),
        user_tower=tower,
        movie_tower=MovieTowerConfig(use_features=True),
    )
    model = TwoTowerModel(config, transformed, np.bincount(history.movie_index, minlength=history.n_users), 0)
    model.user_vectors(history.rows(0, 2))
    generator = np.random.default_rng(4)
    for weight in model.user_tower.weights:
        weight.assign(np.abs(generator.normal(0.5, 0.4, weight.shape)) + 0.01)
    return model


def head_of(transformed, history):
    train = transformed.interactions("train").known()
    head = RankingHead(RankingHeadConfig(width=6), transformed.n_users, transformed.n_movies, (0.5, 5.0))
    head.learn_means(train)
    by_movie = np.argsort(train.movie_index, kind="stable")
    splits = np.searchsorted(train.movie_index[by_movie], np.arange(transformed.n_movies + 1))
    head.remember(history, History(splits, train.user_index[by_movie], train.rating[by_movie]))
    return head


def asked(transformed, history):
    """Known and unknown users, one with a movie that nobody knows, and lengths that go up and down."""
    generator = np.random.default_rng(5)
    for user in range(ASKED):
        row = history.rows(user, user + 1)
        movies, ratings = row.movie_index[: 1 + 7 * user % 30], row.rating[: 1 + 7 * user % 30]
        if user == 3:
            movies, ratings = np.append(movies, UNKNOWN_MOVIE).astype(np.int32), np.append(ratings, 5.0)
        candidates = generator.choice(transformed.n_movies, CANDIDATES, replace=False)
        yield (user if user % 2 else -1), movies, ratings.astype(np.float32), candidates


IN_A_FRESH_PROCESS = """
import sys
from pathlib import Path
import numpy as np
from recommender.retrieval.online_model import OnlineModel
folder = Path(sys.argv[1])
asked = np.load(folder / "asked.npz")
answers = {}
for config in range(int(sys.argv[2])):
    model = OnlineModel.load(folder / f"online-{config}")
    for user in range(int(sys.argv[3])):
        index, movies, ratings, candidates = (
            asked[f"{name}-{user}"] for name in ("index", "movies", "ratings", "candidates")
        )
        times = np.zeros(len(movies), np.int64)
        answers[f"vector-{config}-{user}"] = model.user_vector(int(index), movies, ratings, times)
        answers[f"shares-{config}-{user}"] = model.shares(int(index), movies, ratings, times)
        answers[f"rating-{config}-{user}"] = model.ratings(int(index), movies, ratings, candidates)
np.savez(folder / "answers.npz", **answers)
assert not {"tensorflow", "ibis", "scipy"} & set(sys.modules)
"""


@pytest.fixture(scope="module")
def folder(transformed, history, tmp_path_factory):
    """Every configuration as SavedModels and as what answers without TensorFlow, and what was asked."""
    folder = tmp_path_factory.mktemp("lite models")
    head = head_of(transformed, history)
    save_ranking_head(head, transformed, 8, folder / "ranker")
    for number, tower in enumerate(CONFIGS.values()):
        model = model_of(tower, transformed, history, normalize=number != 3)
        save_user_tower(model.user_tower, transformed, folder / f"user_tower-{number}")
        save_online_model(model.user_tower, head, transformed, folder / f"online-{number}")
    arrays = {}
    for user, values in enumerate(asked(transformed, history)):
        names = ("index", "movies", "ratings", "candidates")
        arrays |= {f"{name}-{user}": value for name, value in zip(names, values, strict=True)}
    np.savez(folder / "asked.npz", **arrays)
    words = [str(folder), str(len(CONFIGS)), str(ASKED)]
    subprocess.run([sys.executable, "-c", IN_A_FRESH_PROCESS, *words], check=True)
    return folder


@pytest.mark.parametrize("number", range(len(CONFIGS)), ids=CONFIGS)
def test_a_vector_computed_without_tensorflow_is_that_of_the_saved_tower(
    number, folder, transformed, history
):
    answers, tower = np.load(folder / "answers.npz"), load_signature(folder / f"user_tower-{number}")
    features = HistoryFeatures.of_examples(transformed)
    for user, (index, movies, ratings, _) in enumerate(asked(transformed, history)):
        numbers, genres = features.of(movies, ratings, np.zeros(len(movies), np.int64))
        expected = tower(
            user_id=tf.constant([transformed.user_ids[index] if index >= 0 else -5], tf.int64),
            history_movie_id=tf.constant([movie_ids(movies, transformed)], tf.int64),
            history_rating=tf.constant([ratings]),
            user_numbers=tf.constant([numbers]),
            user_genres=tf.constant([genres]),
        )["embedding"].numpy()[0]
        np.testing.assert_allclose(answers[f"vector-{number}-{user}"], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("number", range(len(CONFIGS)), ids=CONFIGS)
def test_a_movie_s_share_is_what_the_vector_has_of_it(number, folder, transformed, history):
    tower = list(CONFIGS.values())[number]
    answers = np.load(folder / "answers.npz")
    for user, (_, movies, _, _) in enumerate(asked(transformed, history)):
        vector, shares = answers[f"vector-{number}-{user}"], answers[f"shares-{number}-{user}"]
        assert shares.shape == (len(movies), len(vector))
        # Eight learned numbers, four of EASE, one of recent popularity, which no movie adds to.
        np.testing.assert_allclose(shares[:, 8:12].sum(axis=0), vector[8:12], atol=1e-5)
        np.testing.assert_array_equal(shares[:, 12], 0)
        np.testing.assert_allclose(shares[movies == UNKNOWN_MOVIE], 0, atol=1e-6)
        if tower.use_history and not (tower.use_id or tower.use_features):
            np.testing.assert_allclose(shares[:, :8].sum(axis=0), vector[:8], atol=1e-5)
        if not tower.use_history:
            np.testing.assert_allclose(shares[:, :8], 0, atol=1e-6)


def test_what_movies_add_beside_an_id_and_features_is_their_part_of_the_sum(folder, transformed, history):
    number = list(CONFIGS).index("id, history, features")
    answers, alone = np.load(folder / "answers.npz"), list(CONFIGS).index("history")
    for user, _ in enumerate(asked(transformed, history)):
        for config in (number, alone):
            # The first's sum of parts is not brought to length 1, so that the history's part has its own.
            summed = answers[f"shares-{config}-{user}"][:, :8].sum(axis=0)
            assert np.linalg.norm(summed) == pytest.approx(1, abs=1e-5)


def test_through_hidden_layers_a_share_is_the_difference_without_the_movie(transformed, history):
    model = model_of(CONFIGS["dense, batch norm"], transformed, history, normalize=True)
    row = history.rows(4, 5)

    def inputs(kept):
        of_one = [[0, len(row.movie_index[kept])]]
        return {
            "user_index": tf.constant([4]),
            "history": tf.RaggedTensor.from_row_splits(row.movie_index[kept], of_one[0]),
            "history_rating": tf.RaggedTensor.from_row_splits(row.rating[kept], of_one[0]),
            "user_numbers": tf.constant(transformed.user_numbers[4:5]),
            "user_genres": tf.constant(transformed.user_genres[4:5]),
        }

    everything = np.arange(len(row.movie_index))
    shares, whole = (call(inputs(everything)).numpy() for call in (model.user_tower.shares, model.user_tower))
    for place in (0, len(everything) // 2, len(everything) - 1):
        without = model.user_tower(inputs(np.delete(everything, place))).numpy()
        np.testing.assert_allclose(shares[place, :8], (whole - without)[0, :8], atol=1e-5)


def test_ratings_predicted_without_tensorflow_are_those_of_the_saved_head(folder, transformed, history):
    answers, head = np.load(folder / "answers.npz"), load_signature(folder / "ranker", "from_history")
    for user, (index, movies, ratings, candidates) in enumerate(asked(transformed, history)):
        expected = head(
            user_id=tf.constant([transformed.user_ids[index] if index >= 0 else -5], tf.int64),
            history_movie_id=tf.constant([movie_ids(movies, transformed)], tf.int64),
            history_rating=tf.constant([ratings]),
            movie_id=tf.constant([transformed.movie_ids[candidates]], tf.int64),
        )["rating"].numpy()[0]
        np.testing.assert_allclose(answers[f"rating-0-{user}"], expected, atol=1e-5)


def movie_ids(positions, transformed):
    return np.where(positions == UNKNOWN_MOVIE, 10**12, transformed.movie_ids[positions])


def test_nothing_but_a_model_is_run(tmp_path):
    (tmp_path / "user_tower.tflite").write_bytes(b"something else entirely")
    for name in ("user_tower.tflite", "nowhere.tflite"):
        with pytest.raises(ReleaseError, match=rf"{name} is no model that LiteRT can run"):
            LiteModel(tmp_path / name)
