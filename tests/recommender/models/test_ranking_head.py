"""The ranking head: its formula, what it does not look at, and the same answers from a fresh process."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from recommender.features.ragged_history import RaggedHistory
from recommender.features.transformed_examples import History, Interactions
from recommender.models.ranking_head import RankingHead
from recommender.models.ranking_head_configuration import RankingHeadConfig
from recommender.models.saved_models import PADDING, load_signature, predicted_ratings, save_ranking_head
from recommender.training.configuration import TrainerConfig
from recommender.training.fit_ranking import fit_ranking

CONFIG = RankingHeadConfig(width=3, mean_prior=2.0)
# Users 0 and 1 have rated, user 2 has not; movie 3 has no ratings.
TRAIN = Interactions(
    user_index=np.array([0, 0, 0, 1, 1], np.int32),
    movie_index=np.array([0, 1, 2, 0, 2], np.int32),
    rating=np.array([5.0, 3.0, 4.0, 2.0, 1.0], np.float32),
    timestamp=np.arange(5),
)
MEAN = (5 + 3 + 4 + 2 + 1) / 5
N_USERS, N_MOVIES = 3, 4


def by_movie(train, n_movies):
    return History.of(
        Interactions(train.movie_index, train.user_index, train.rating, train.timestamp), n_movies
    )


def fresh_head(train=TRAIN, n_users=N_USERS, n_movies=N_MOVIES, config=CONFIG, scale=(-100.0, 100.0)):
    tf.keras.utils.set_random_seed(1)
    head = RankingHead(config, n_users, n_movies, scale)
    generator = np.random.default_rng(2)
    for side in (head.user_side, head.movie_side):
        side.others.assign(generator.normal(size=side.others.shape))
        side.offset.assign(generator.normal(size=side.offset.shape))
    head.learn_means(train)
    head.remember(History.of(train, n_users), by_movie(train, n_movies))
    return head


def rate(head, user_index, movie_index):
    pair = {"user_index": tf.constant([user_index]), "movie_index": tf.constant([movie_index])}
    return float(head(pair).numpy()[0])


def side_by_hand(side, history, mean_of, other):
    """The formula of the docstring, one number at a time."""
    table, offset = side.others.numpy(), side.offset.numpy()
    softplus = np.log1p(np.exp(3.0))
    total, deviations = np.zeros(3), 0.0
    for index, rating in history:
        taste, presence = table[index + 1, 0:3], table[index + 1, 3:6]
        total += (rating - mean_of[index]) * taste + presence
        deviations += rating - mean_of[index]
    vector = np.tanh(total / max(len(history), 1) ** 0.5 + offset)
    factor, bias = table[other + 1, 6:9], table[other + 1, 9]
    return mean_of[other] + deviations / (len(history) + softplus) + bias + vector @ factor


def shrunk(*ratings):
    """A mean that begins with two ratings of average height."""
    return MEAN + sum(rating - MEAN for rating in ratings) / (len(ratings) + 2)


MOVIE_MEANS = {0: shrunk(5, 2), 1: shrunk(3), 2: shrunk(4, 1), 3: MEAN}
USER_MEANS = {0: shrunk(5, 3, 4), 1: shrunk(2, 1), 2: MEAN}


def test_a_rating_is_the_mean_of_what_both_histories_say():
    head = fresh_head()
    from_user = side_by_hand(head.user_side, [(0, 2.0), (2, 1.0)], MOVIE_MEANS, other=1)
    from_movie = side_by_hand(head.movie_side, [(0, 3.0)], USER_MEANS, other=1)
    assert rate(head, 1, 1) == pytest.approx((from_user + from_movie) / 2, rel=1e-5)


def test_in_training_a_rating_is_predicted_without_itself():
    head = fresh_head()
    batch = RaggedHistory(History.of(TRAIN, N_USERS)).users(tf.range(N_USERS))
    predicted, _ = head.user_side.leave_one_out(batch["history"], batch["history_rating"])
    # User 0's rating of movie 1, whose only rating it is: neither the history nor the mean has it.
    expected = side_by_hand(head.user_side, [(0, 5.0), (2, 4.0)], {**MOVIE_MEANS, 1: MEAN}, other=1)
    assert predicted.numpy()[1] == pytest.approx(expected, rel=1e-5)
    # User 1's rating of movie 2, which user 0 has given 4.
    expected = side_by_hand(head.user_side, [(0, 2.0)], {**MOVIE_MEANS, 2: shrunk(4)}, other=2)
    assert predicted.numpy()[4] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("changed", range(5))
def test_what_a_rating_is_makes_no_difference_to_its_own_prediction_in_training(changed):
    def predictions(rating):
        head = fresh_head()
        train = Interactions(TRAIN.user_index, TRAIN.movie_index, rating, TRAIN.timestamp)
        for side in (head.user_side, head.movie_side):
            # The overall mean is held still: it is one number for all.
            mean = side.overall_mean.numpy()
            other = train.movie_index if side is head.user_side else train.user_index
            side.learn_means(other, train.rating)
            side.totals.assign_add(side.counts * (side.overall_mean - mean))
            side.overall_mean.assign(mean)
        users, movies = History.of(train, N_USERS), by_movie(train, N_MOVIES)
        answers = []
        for side, histories in ((head.user_side, users), (head.movie_side, movies)):
            batch = RaggedHistory(histories).users(tf.range(histories.n_users))
            answers.append(side.leave_one_out(batch["history"], batch["history_rating"])[0].numpy())
        return answers

    before = predictions(TRAIN.rating)
    rating = TRAIN.rating.copy()
    rating[changed] += 1.5
    after = predictions(rating)
    # Histories are ordered by owner and time; by movie the five ratings come as 0, 3, 1, 2, 4.
    places = (changed, [0, 3, 1, 2, 4].index(changed))
    for place, old, new in zip(places, before, after, strict=True):
        assert new[place] == pytest.approx(old[place], abs=1e-5)
        assert not np.allclose(new, old)


def test_unknown_users_and_movies_get_the_means():
    head = fresh_head()
    for side in (head.user_side, head.movie_side):
        side.others.assign(tf.zeros_like(side.others))
    softplus = np.log1p(np.exp(3.0))
    assert rate(head, -1, 0) == pytest.approx(MOVIE_MEANS[0], rel=1e-5)
    assert rate(head, 2, 0) == pytest.approx(MOVIE_MEANS[0], rel=1e-5)
    assert rate(head, -1, -1) == pytest.approx(MEAN, rel=1e-5)
    above = (2 - MOVIE_MEANS[0] + 1 - MOVIE_MEANS[2]) / (2 + softplus)
    for movie in (3, -1):
        assert rate(head, 1, movie) == pytest.approx((MEAN + above + USER_MEANS[1]) / 2, rel=1e-5)


def test_what_nothing_was_learned_of_is_not_made_up():
    head = fresh_head()
    nowhere = rate(head, 0, -1)
    # Movie 3 has random initial weights like all others, but no ratings.
    assert rate(head, 0, 3) == pytest.approx(nowhere, rel=1e-6)


def test_ratings_stay_within_the_scale():
    head = fresh_head(scale=(1.0, 5.0))
    head.user_side.others.assign(head.user_side.others * 100)
    predicted = [rate(head, user, movie) for user in range(2) for movie in range(3)]
    assert min(predicted) == 1.0
    assert max(predicted) == 5.0


def test_histories_are_summed_up_alike_in_any_blocks(transformed, monkeypatch):
    train = transformed.interactions("train").known()
    whole = fresh_head(train, transformed.n_users, transformed.n_movies)
    monkeypatch.setattr("recommender.models.ranking_head._RATINGS_AT_ONCE", 500)
    in_blocks = fresh_head(train, transformed.n_users, transformed.n_movies)
    for name in ("user_states", "movie_states"):
        np.testing.assert_allclose(getattr(in_blocks, name), getattr(whole, name), atol=1e-5)


def liked_by_group(n_users=60, n_movies=40):
    """Even users like even movies, odd ones odd ones; a third of the pairs is held out."""
    user, movie = (each.ravel().astype(np.int32) for each in np.indices((n_users, n_movies)))
    rating = np.where((user - movie) % 2 == 0, 5.0, 1.0).astype(np.float32)
    held_out = np.random.default_rng(5).random(len(user)) < 1 / 3
    parts = (
        Interactions(user[k], movie[k], rating[k], np.zeros(k.sum(), np.int64)) for k in (~held_out, held_out)
    )
    return n_users, n_movies, *parts


def test_a_taste_that_no_mean_shows_is_learned_the_same_way_by_the_same_seed():
    n_users, n_movies, train, held_out = liked_by_group()
    config = TrainerConfig.model_validate(
        {"ranking": {"batch_size": 200, "learning_rate": 0.01}, "ranking_head": {"width": 8, "l2": 0.01}}
    )
    first, second = (fit_ranking(config, 3, n_users, n_movies, train, held_out, epochs=12) for _ in range(2))
    # Means alone leave the standard deviation, 2 stars.
    assert min(first.curves["val_rmse"]) < 0.5
    assert first.epochs == int(np.argmin(first.curves["val_rmse"])) + 1
    assert first.curves == second.curves
    predicted = first.model({"user_index": held_out.user_index, "movie_index": held_out.movie_index}).numpy()
    error = float(np.sqrt(np.mean((predicted - held_out.rating) ** 2)))
    assert error == pytest.approx(min(first.curves["val_rmse"]), abs=1e-5)


def test_a_new_user_is_predicted_from_a_history_as_a_known_one_is(transformed, tmp_path):
    train = transformed.interactions("train").known()
    head = fresh_head(train, transformed.n_users, transformed.n_movies)
    save_ranking_head(head, transformed, 2, tmp_path / "ranker")
    from_history = load_signature(tmp_path / "ranker", "from_history")
    row = History.of(train, transformed.n_users).rows(0, 1)
    candidates = transformed.movie_ids[:5]
    # Padding and a movie that training does not know say nothing.
    unknown = int(transformed.movie_ids.max()) + 1
    movie_ids = np.concatenate([transformed.movie_ids[row.movie_index], [PADDING, unknown]])
    ratings = np.concatenate([row.rating, [0, 5]]).astype(np.float32)
    known, new = from_history(
        user_id=tf.constant([transformed.user_ids[0], transformed.user_ids.max() + 1], tf.int64),
        history_movie_id=tf.constant(np.stack([movie_ids] * 2)),
        history_rating=tf.constant(np.stack([ratings] * 2)),
        movie_id=tf.constant(np.stack([candidates] * 2)),
    )["rating"].numpy()
    np.testing.assert_allclose(known, [rate(head, 0, movie) for movie in range(5)], rtol=1e-4)
    state = tf.gather(head.user_states, [1] * 5)
    np.testing.assert_allclose(new, head.user_side.rate(state, tf.range(5)), rtol=1e-4)


def test_a_saved_head_gives_the_same_ratings_in_a_fresh_process(transformed, tmp_path):
    head = fresh_head(
        transformed.interactions("train").known(), transformed.n_users, transformed.n_movies, scale=(0.5, 5.0)
    )
    save_ranking_head(head, transformed, 2, tmp_path / "ranker")
    test = transformed.interactions("test").known()
    expected = head({"user_index": test.user_index, "movie_index": test.movie_index}).numpy()
    pairs = {
        "user_index": test.user_index,
        "movie_index": test.movie_index,
        "users": np.zeros((transformed.n_users, 2), np.float32),
        "movies": np.zeros((transformed.n_movies, 2), np.float32),
    }
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
