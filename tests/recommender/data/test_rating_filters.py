import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.data.engine import open_engine
from recommender.data.rating_filters import filter_ratings
from recommender.data.splits import SplitConfig


@pytest.fixture(scope="module")
def filtered(ratings_arrow, tmp_path_factory):
    """The rows that filters leave, and what each left out."""
    engine = open_engine()

    def run(rows, **filters):
        engine.con.register("ratings", ratings_arrow(rows))
        scratch = tmp_path_factory.mktemp("scratch")
        kept, dropped = filter_ratings(engine, engine.table("ratings"), SplitConfig(**filters), scratch)
        return sorted(tuple(row.values()) for row in kept.to_pyarrow().to_pylist()), dropped

    yield run
    engine.disconnect()


def test_low_ratings_go_first_and_quiet_users_then(filtered):
    rows = [(1, 1, 5.0, 1), (1, 2, 4.0, 2), (1, 3, 1.0, 3), (2, 1, 5.0, 1), (2, 2, 2.0, 2), (3, 1, 1.0, 1)]

    kept, (low, quiet) = filtered(rows, min_rating=4.0, min_user_ratings=2)

    assert kept == rows[:2]
    assert (low.filter, low.value, low.n_ratings, low.n_users) == ("min_rating", 4.0, 3, 1)
    assert (quiet.filter, quiet.value, quiet.n_ratings, quiet.n_users) == ("min_user_ratings", 2, 1, 1)


def test_without_filters_everything_stays_and_nothing_is_reported(filtered):
    assert filtered([(1, 1, 0.5, 1)]) == ([(1, 1, 0.5, 1)], ())


def test_the_core_falls_in_a_chain_until_nothing_changes(filtered):
    # Movie 9 has one rating; without it user 3 has one, without whom movie 2 has one, and so on.
    chain = [(3, 9, 3.0, 1), (3, 2, 3.0, 1), (2, 2, 3.0, 1), (2, 1, 3.0, 1)]
    square = [(user, movie, 3.0, 1) for user in (5, 6) for movie in (50, 60)]

    kept, (dropped,) = filtered(chain + square, k_core=2)

    assert kept == square
    assert (dropped.filter, dropped.value, dropped.n_ratings, dropped.n_users) == ("k_core", 2, 4, 2)


@settings(max_examples=20, deadline=None)
@given(
    pairs=st.sets(st.tuples(st.integers(1, 8), st.integers(1, 8)), min_size=1, max_size=40),
    least=st.integers(2, 4),
)
def test_the_core_is_the_one_of_plain_python(filtered, pairs, least):
    kept, (dropped,) = filtered([(user, movie, 3.0, 1) for user, movie in sorted(pairs)], k_core=least)

    core = set(pairs)
    while True:
        users, movies = [user for user, _ in core], [movie for _, movie in core]
        fewer = {(u, m) for u, m in core if users.count(u) >= least and movies.count(m) >= least}
        if fewer == core:
            break
        core = fewer
    assert [row[:2] for row in kept] == sorted(core)
    assert dropped.n_ratings == len(pairs) - len(core)
    assert dropped.n_users == len({u for u, _ in pairs}) - len({u for u, _ in core})
