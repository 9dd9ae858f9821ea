"""Batches from memory: whole users, or single ratings with the rest of the history."""

import numpy as np

from recommender.features.memory_batches import memory_ratings, memory_users
from recommender.features.transformed_examples import History, Interactions

TRAIN = Interactions(
    user_index=np.array([0, 0, 0, 2, 2], np.int32),
    movie_index=np.array([4, 1, 3, 1, 0], np.int32),
    rating=np.array([5, 3, 4, 2, 1], np.float32),
    timestamp=np.array([30, 10, 20, 5, 6], np.int64),
)


def test_history_is_in_order_of_time_within_each_user():
    history = History.of(TRAIN, n_users=3)
    assert history.row_splits.tolist() == [0, 3, 3, 5]
    assert history.movie_index.tolist() == [1, 3, 4, 1, 0]
    assert history.rating.tolist() == [3, 4, 5, 2, 1]
    assert history.rows(1, 3).movie_index.tolist() == [1, 0]


def test_every_user_with_ratings_comes_once_an_epoch_with_the_whole_history():
    batches = list(memory_users(History.of(TRAIN, n_users=3), batch_size=1, seed=0))
    seen = {int(batch["user_index"][0]): batch["history"].to_list()[0] for batch in batches}
    assert len(batches) == 2
    assert seen == {0: [1, 3, 4], 2: [1, 0]}


def test_a_batch_larger_than_the_data_becomes_one_whole_batch():
    batches = list(memory_users(History.of(TRAIN, n_users=3), batch_size=100, seed=0))
    assert [batch["user_index"].shape[0] for batch in batches] == [2]


def test_a_rating_never_sees_its_own_movie_in_the_history():
    history = History.of(TRAIN, n_users=3)
    rows = {}
    for batch in memory_ratings(TRAIN, history, batch_size=5, seed=1):
        pairs = zip(batch["user_index"].numpy(), batch["movie_index"].numpy(), strict=True)
        for place, pair in enumerate(pairs):
            rows[tuple(map(int, pair))] = (
                batch["history"].to_list()[place],
                batch["history_rating"].to_list()[place],
                float(batch["rating"][place]),
            )
    assert rows[0, 3] == ([1, 4], [3.0, 5.0], 4.0)
    assert rows[2, 0] == ([1], [2.0], 1.0)
    assert len(rows) == 5


def test_without_histories_ratings_come_alone_and_the_last_batch_can_be_kept():
    batches = list(memory_ratings(TRAIN, None, batch_size=3, seed=1, drop_remainder=False))
    assert [set(batch) for batch in batches] == [{"user_index", "movie_index", "rating"}] * 2
    assert [len(batch["rating"]) for batch in batches] == [3, 2]
    assert sorted(float(rating) for batch in batches for rating in batch["rating"]) == [1, 2, 3, 4, 5]


def test_one_seed_gives_one_order_and_every_epoch_another():
    many = Interactions(
        user_index=np.arange(50, dtype=np.int32),
        movie_index=np.zeros(50, np.int32),
        rating=np.ones(50, np.float32),
        timestamp=np.zeros(50, np.int64),
    )

    def epochs(seed):
        batches = memory_users(History.of(many, 50), batch_size=50, seed=seed)
        return [next(iter(batches))["user_index"].numpy().tolist() for _ in range(2)]

    first, again, other = epochs(1), epochs(1), epochs(2)
    assert first == again
    assert first[0] != first[1]
    assert first != other
