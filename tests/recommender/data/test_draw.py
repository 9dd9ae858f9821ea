import hashlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from recommender.data.draw import ticket
from recommender.data.engine import EngineConfig, open_engine

WORD = 2**32
MULTIPLIERS = (742_938_285, 1_226_874_159, 62_089_911, 1_343_714_438)
IDS = st.one_of(st.integers(0, 300_000), st.integers(-(2**63), 2**63 - 1))
# A sound draw is as uneven as this once in ten million times.
TOO_UNEVEN = 1e-7


@pytest.fixture(scope="module")
def draw():
    """Tickets of users and movies as an int64 array, drawn by DuckDB."""
    engine = open_engine(EngineConfig(threads=1))

    def tickets(users, movies, seed):
        users, movies = np.broadcast_arrays(np.asarray(users, np.int64), np.asarray(movies, np.int64))
        table = pa.table({"place": range(len(users)), "user_id": users, "movie_id": movies})
        engine.con.register("pairs", table)
        pairs = engine.table("pairs")
        drawn = pairs.select("place", ticket=ticket(pairs.user_id, pairs.movie_id, seed)).order_by("place")
        return drawn["ticket"].to_pyarrow().to_numpy()

    yield tickets
    engine.disconnect()


def in_python(user, movie, seed):
    digest = hashlib.sha256(str(seed).encode()).digest()
    keys = [int.from_bytes(digest[4 * place : 4 * place + 4], "little") for place in range(6)]

    def mix(word, key, place):
        return (word ^ key) * MULTIPLIERS[place] // 2**15 % WORD

    user = mix(mix(user // WORD % WORD, keys[4], 0) ^ user % WORD, keys[5], 1)
    left, right = movie // WORD % WORD, movie % WORD
    for place in range(4):
        left, right = right, left ^ mix(right ^ user, keys[place], place)
    return right * WORD + left - 2**63


def evenness(cells, n_cells):
    """Probability that evenly drawn cells are as uneven as these, or more so."""
    expected = len(cells) / n_cells
    counts = np.bincount(cells, minlength=n_cells)
    return chi2.sf(((counts - expected) ** 2 / expected).sum(), n_cells - 1)


def highest(tickets, bits):
    return (tickets >> (64 - bits)) + 2 ** (bits - 1)


@settings(max_examples=50, deadline=None)
@given(pairs=st.lists(st.tuples(IDS, IDS), min_size=1, max_size=20), seed=st.integers(0, 2**32 - 1))
def test_tickets_are_those_of_plain_python(draw, pairs, seed):
    users, movies = zip(*pairs, strict=True)

    assert draw(users, movies, seed).tolist() == [in_python(*pair, seed) for pair in pairs]


@settings(max_examples=25, deadline=None)
@given(user=IDS, movies=st.lists(IDS, min_size=2, max_size=50, unique=True), seed=st.integers(0, 9))
def test_no_two_movies_of_a_user_draw_the_same(draw, user, movies, seed):
    assert len(set(draw(user, movies, seed).tolist())) == len(movies)


@pytest.mark.parametrize("seed", [0, 1, 42, 2**32 - 1])
@pytest.mark.parametrize("stride", [1, 2, 16, 1024, 65_536])
def test_tickets_are_even_over_movies_and_over_users(draw, seed, stride):
    ids = np.arange(1, 20_001) * stride

    for tickets in (draw(7, ids, seed), draw(ids, 7, seed)):
        assert evenness(highest(tickets, 7), 128) > TOO_UNEVEN


@pytest.mark.parametrize("modulus", [2, 3, 7, 16])
def test_every_residue_class_of_ids_is_drawn_alike(draw, modulus):
    ids = np.arange(1, 20_001)
    of_movies, of_users = draw(7, ids, 42), draw(ids, 7, 42)

    for residue in range(modulus):
        for tickets in (of_movies, of_users):
            assert evenness(highest(tickets[ids % modulus == residue], 4), 16) > TOO_UNEVEN


@pytest.mark.parametrize("lag", [1, 2, 3, 8, 64, 1024])
def test_neighbouring_ids_draw_independently(draw, lag):
    ids = np.arange(1, 20_001)

    for tickets in (draw(7, ids, 42), draw(ids, 7, 42)):
        pairs = highest(tickets[:-lag], 4) * 16 + highest(tickets[lag:], 4)
        assert evenness(pairs, 256) > TOO_UNEVEN


def test_seeds_and_users_and_movies_draw_independently_of_each_other(draw):
    ids = np.arange(1, 20_001)
    first = highest(draw(7, ids, 42), 4)

    for other in (draw(7, ids, 43), draw(7, ids, 42 + 2**31), draw(8, ids, 42), draw(ids, 7, 42)):
        assert evenness(first * 16 + highest(other, 4), 256) > TOO_UNEVEN
