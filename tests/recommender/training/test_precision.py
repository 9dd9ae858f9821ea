"""What was trained in half precision is served in full."""

import numpy as np

from recommender.features.transformed_examples import History
from recommender.models.configuration import MovieTowerConfig, TwoTowerConfig, UserTowerConfig
from recommender.models.lite_models import save_online_model
from recommender.models.ranking_head import RankingHead
from recommender.models.ranking_head_configuration import RankingHeadConfig
from recommender.models.two_tower import TwoTowerModel
from recommender.retrieval.lite_model import LiteModel
from recommender.training.precision import compute_in_full, layers_in_half

CONFIG = TwoTowerConfig(
    dimension=8,
    user_tower=UserTowerConfig(use_features=True, hidden=(16,)),
    movie_tower=MovieTowerConfig(use_features=True, hidden=(16,)),
)


def test_towers_trained_in_half_precision_are_served_like_those_trained_in_full(transformed, tmp_path):
    history = History.of(transformed.interactions("train").known(), transformed.n_users)
    counts = np.bincount(history.movie_index, minlength=transformed.n_movies)
    full = TwoTowerModel(CONFIG, transformed, counts)
    with layers_in_half(True):
        half = TwoTowerModel(CONFIG, transformed, counts)
    expected, movies = full.user_vectors(history), full.movie_vectors()
    half.user_vectors(history.rows(0, 1)), half.movie_vectors()
    half.set_weights(full.get_weights())
    assert np.abs(half.user_vectors(history) - expected).max() > 1e-4

    compute_in_full(half)
    np.testing.assert_allclose(half.user_vectors(history), expected, atol=1e-6)
    np.testing.assert_allclose(half.movie_vectors(), movies, atol=1e-6)

    head = RankingHead(RankingHeadConfig(width=2), transformed.n_users, transformed.n_movies, (0.5, 5.0))
    save_online_model(half.user_tower, head, transformed, tmp_path / "online")
    row = history.rows(0, 1)
    vector = LiteModel(tmp_path / "online" / "user_tower.tflite")(
        user_index=np.array(0, np.int32),
        history=row.movie_index,
        history_rating=row.rating,
        user_numbers=transformed.user_numbers[0],
        user_genres=transformed.user_genres[0],
    )["embedding"]
    np.testing.assert_allclose(vector, expected[0], atol=1e-5)
