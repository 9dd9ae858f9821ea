"""The user features of a history: those of Transform, for whoever Transform has never seen."""

import numpy as np
import pytest

from recommender.errors import DataError
from recommender.features.history import History
from recommender.features.history_features import NO_TIME, HistoryFeatures
from recommender.features.transformed_examples import USER_NUMBERS

DAY = 86_400
NEWEST = 1_000 * DAY
GENRES = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]], bool)


def of(movies, ratings, times):
    features = HistoryFeatures(GENRES, NEWEST)
    arguments = np.array(movies, np.int32), np.array(ratings, np.float32), np.array(times, np.int64)
    numbers, genres = features.of(*arguments)
    return dict(zip(USER_NUMBERS, numbers.tolist(), strict=True)), np.flatnonzero(genres).tolist()


def test_training_histories_get_the_features_that_transform_gave_them(transformed, tmp_path):
    train = transformed.interactions("train")
    HistoryFeatures.of_examples(transformed).save(tmp_path / "features.npz")
    features = HistoryFeatures.load(tmp_path / "features.npz")
    history = History.of(train, transformed.n_users)
    times = train.timestamp[np.lexsort((train.movie_index, train.timestamp, train.user_index))]
    for user in range(transformed.n_users):
        rows = slice(history.row_splits[user], history.row_splits[user + 1])
        numbers, genres = features.of(history.movie_index[rows], history.rating[rows], times[rows])
        np.testing.assert_allclose(numbers, transformed.user_numbers[user], rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(genres, transformed.user_genres[user])


def test_who_rates_now_and_says_no_times_has_rated_everything_at_once():
    numbers, genres = of([0, 1, 2], [5.0, 3.0, 4.0], [NO_TIME] * 3)
    assert numbers == {
        "rating_mean": 4.0,
        "rating_std": pytest.approx((2 / 3) ** 0.5),
        "rating_count": 3.0,
        "rating_velocity": 3.0,
        "recency_days": 0.0,
        "rating_range": 2.0,
    }
    # Genre 1 three times, 0 and 2 once each; genre 3 was never met.
    assert genres == [0, 1, 2]


def test_times_that_are_known_count_and_nobody_rates_from_the_future():
    # Two months of 30.4375 days, the last rating ten days before the newest.
    first = NEWEST - 10 * DAY - round(2 * 30.4375 * DAY)
    numbers, _ = of([0, 1, 2, 3], [3.0] * 4, [NO_TIME, first, NEWEST - 10 * DAY, NO_TIME])
    assert numbers["rating_velocity"] == 2.0
    assert numbers["recency_days"] == 10.0
    assert of([0], [3.0], [NEWEST + 5 * DAY])[0]["recency_days"] == 0.0


def test_movies_without_a_genre_speak_for_none():
    assert of([3], [3.0], [NO_TIME])[1] == []


@pytest.mark.parametrize("content", [b"PK something else", b""])
def test_something_else_is_not_read(tmp_path, content):
    (tmp_path / "features.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"features\.npz holds no features"):
        HistoryFeatures.load(tmp_path / "features.npz")
