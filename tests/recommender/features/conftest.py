"""Rating tables made by hypothesis, and one engine to compute their features."""

import pytest
from hypothesis import strategies as st

from recommender.data.engine import EngineConfig, open_engine

MOVIES = (
    (1, ["Drama"], 1990),
    (2, ["Comedy", "Drama"], 1991),
    (3, [], None),
    (4, ["War", "Comedy", "Action"], 1950),
    (5, ["War", "War"], 1951),
    (6, None, 1999),
)
START = 900_000_000


@st.composite
def _rating_rows(draw):
    pairs = draw(st.sets(st.tuples(st.integers(1, 4), st.integers(1, 5)), min_size=1, max_size=20))
    rating = st.integers(1, 50).map(lambda tenth: tenth / 10)
    timestamp = st.one_of(st.integers(START, START + 3), st.integers(START, START + 200 * 86_400))
    if not draw(st.integers(0, 4)):
        timestamp = st.none()
    rows = [(user, movie, draw(rating), draw(timestamp)) for user, movie in sorted(pairs)]
    return sorted(rows, key=lambda row: (row[0], row[3] or 0, row[1]))


@pytest.fixture(scope="session")
def rating_rows():
    """A strategy for rows of `user_id, movie_id, rating, timestamp`; movie 6 is never rated.

    Some of these tables have no timestamps at all.
    """
    return _rating_rows()


@pytest.fixture(scope="session")
def movie_rows():
    """Rows of `movie_id, genres, release_year`."""
    return MOVIES


@pytest.fixture(scope="session")
def tables(ratings_arrow, movies_arrow):
    """Turn rows into the two tables of an engine."""
    engine = open_engine(EngineConfig(threads=1))

    def make(ratings, movies=MOVIES):
        engine.con.register("ratings", ratings_arrow(ratings))
        engine.con.register("movies", movies_arrow(movies))
        return engine.table("ratings"), engine.table("movies")

    yield make
    engine.disconnect()
