"""Reading whole users from disk."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recommender.features.ratings_by_user import RatingsByUser


@pytest.fixture
def write(tmp_path):
    def write_rows(name, rows, row_group_size):
        columns = zip(*rows, strict=True)
        names = ("user_index", "movie_index", "rating", "timestamp")
        types = (pa.int32(), pa.int32(), pa.float32(), pa.int64())
        arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
        pq.write_table(pa.table(arrays, names=names), tmp_path / name, row_group_size=row_group_size)
        return tmp_path / name

    return write_rows


def test_a_user_whose_ratings_span_row_groups_comes_out_whole(write):
    rows = [(0, 9, 1.0, 5), *((1, movie, 2.0, 100 - movie) for movie in range(7, 0, -1)), (3, 8, 3.0, 6)]
    ratings = RatingsByUser([write("train.parquet", rows, row_group_size=2)], n_users=5)
    assert ratings.lengths.tolist() == [1, 7, 0, 1, 0]
    history = ratings.histories(1, 3)
    assert history.row_splits.tolist() == [0, 7, 7]
    assert history.movie_index.tolist() == [7, 6, 5, 4, 3, 2, 1]


def test_what_two_parts_say_of_a_user_is_put_in_order_of_time(write):
    train = write("train.parquet", [(0, 4, 1.0, 10), (0, 5, 2.0, 30), (1, 4, 3.0, 1)], 1)
    validation = write("validation.parquet", [(0, 6, 4.0, 20), (2, 7, 5.0, 2)], 1)
    history = RatingsByUser([train, validation], n_users=3).histories(0, 3)
    assert history.row_splits.tolist() == [0, 3, 4, 5]
    assert history.movie_index.tolist() == [4, 6, 5, 4, 7]
    assert history.rating.tolist() == [1, 4, 2, 3, 5]


def test_unknown_users_and_movies_are_passed_over(write):
    rows = [(-1, 2, 1.0, 1), (0, -1, 2.0, 2), (0, 3, 3.0, 3)]
    ratings = RatingsByUser([write("test.parquet", rows, 10)], n_users=1)
    assert ratings.lengths.tolist() == [1]
    assert ratings.histories(0, 1).movie_index.tolist() == [3]
