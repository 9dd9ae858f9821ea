"""Histories: taking some of their users, some of their movies, and cutting them into pieces."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recommender.features.transformed_examples import History

N_MOVIES = 9
lists = st.lists(st.lists(st.integers(0, N_MOVIES - 1), max_size=12), min_size=1, max_size=6)


def history_of(rated):
    movies = np.array([movie for user in rated for movie in user], np.int32)
    splits = np.concatenate([[0], np.cumsum([len(user) for user in rated])]).astype(np.int64)
    return History(splits, movies, np.arange(len(movies), dtype=np.float32))


def lists_of(history):
    return [history.rows(row, row + 1).movie_index.tolist() for row in range(history.n_users)]


@given(rated=lists, data=st.data())
def test_the_histories_of_some_users_come_in_the_order_asked_for(rated, data):
    chosen = data.draw(st.lists(st.integers(0, len(rated) - 1)))
    some = history_of(rated).of_users(np.array(chosen, np.int32))
    assert lists_of(some) == [rated[user] for user in chosen]


@given(rated=lists, chosen=st.sets(st.integers(0, N_MOVIES - 1)))
def test_the_ratings_of_some_movies_stay_with_their_users_and_in_their_order(rated, chosen):
    chosen = sorted(chosen)
    some = history_of(rated).of_movies(np.array(chosen, np.int64), N_MOVIES)
    assert [[chosen[movie] for movie in user] for user in lists_of(some)] == [
        [movie for movie in user if movie in chosen] for user in rated
    ]


@given(rated=lists, length=st.integers(2, 8))
def test_pieces_are_neighbours_in_time_of_one_user_and_about_as_long_as_asked(rated, length):
    pieces = iter(lists_of(history_of(rated).pieces(length)))
    for movies in rated:
        own = [next(pieces) for _ in range(max(1, round(len(movies) / length)) if movies else 0)]
        assert [movie for piece in own for movie in piece] == movies
        sizes = [len(piece) for piece in own]
        assert max(sizes, default=0) - min(sizes, default=0) <= 1
    assert not list(pieces)
