"""What a user has rated by now, from a release and a store."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recommender.current_history import with_changes
from recommender.data.rating_store import RatingStore
from recommender.release import History


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RatingStore]:
    opened = RatingStore.open(f"sqlite:///{tmp_path_factory.mktemp('store') / 'ratings.db'}")
    yield opened
    opened.close()


def history_of(rows: list[tuple[int, float, int]]) -> History:
    rows = sorted(rows, key=lambda row: (row[2], row[0]))
    return History(
        np.array([movie for movie, _, _ in rows], dtype=np.int64),
        np.array([rating for _, rating, _ in rows], dtype=np.float32),
        np.array([moment for _, _, moment in rows], dtype=np.int64),
    )


def test_without_changes_a_history_is_not_copied(store: RatingStore):
    history = history_of([(10, 4.0, 100), (20, 3.0, 200)])
    assert with_changes(history, store.ratings_of(999_999)) is history


users = iter(range(10**6))
moments = st.integers(1, 6)
ratings = st.sampled_from([0.5, 3.0, 5.0])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    in_release=st.dictionaries(st.integers(0, 5), st.tuples(ratings, moments)),
    said=st.lists(st.tuples(st.integers(0, 5), st.none() | st.tuples(ratings, moments)), max_size=8),
)
def test_later_ratings_count_and_removed_ones_are_gone(store: RatingStore, in_release: dict, said: list):
    user_id = next(users)
    expected, collected = dict(in_release), {}
    for movie_id, rated in said:
        if rated is None:
            store.delete(user_id, movie_id)
            expected.pop(movie_id, None)
            collected.pop(movie_id, None)
        else:
            store.rate(user_id, movie_id, *rated)
            if movie_id not in collected or rated[1] >= collected[movie_id][1]:
                collected[movie_id] = rated
    for movie_id, rated in collected.items():
        if movie_id not in expected or rated[1] >= expected[movie_id][1]:
            expected[movie_id] = rated
    history = history_of([(movie_id, *rated) for movie_id, rated in in_release.items()])
    merged = with_changes(history, store.ratings_of(user_id))
    rows = zip(merged.timestamps.tolist(), merged.movie_ids.tolist(), merged.ratings.tolist(), strict=True)
    assert list(rows) == sorted((moment, movie, rating) for movie, (rating, moment) in expected.items())
    assert merged.ratings.dtype == np.float32


def test_what_was_rated_through_the_service_follows_ratings_without_times(store: RatingStore):
    user_id = next(users)
    store.rate(user_id, 10, 1.0, 50)
    merged = with_changes(history_of([(10, 4.0, 0), (20, 3.0, 0)]), store.ratings_of(user_id))
    assert merged.movie_ids.tolist() == [20, 10]
