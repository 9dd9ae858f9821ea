import math
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recommender.data.schema import infer_schema
from recommender.data.validation import Anomalies, validate_examples, write_anomalies
from recommender.errors import DataError

NOW = datetime(2020, 1, 1, tzinfo=UTC)
T = 1_000_000_000
RATINGS = [(1, 10, 0.5, T), (1, 20, 4.5, T + 50), (2, 10, 5.0, T + 90), (2, 20, 3.0, T + 100)]
MOVIES = [(10, ["Comedy"], 1990), (20, ["Drama"], 1991)]


@pytest.fixture
def check(tmp_path, write_examples):
    """Validate ratings and movies against the schema of the good ones above."""
    schema = infer_schema(write_examples(tmp_path / "good", RATINGS, MOVIES))

    def run(ratings=RATINGS, movies=MOVIES):
        folder = write_examples(tmp_path / "checked", ratings, movies)
        return validate_examples(folder, schema, now=NOW)

    return run


def found(anomalies):
    return {(anomaly.kind, anomaly.column): anomaly.count for anomaly in anomalies.anomalies}


def test_good_examples_have_no_anomaly(check):
    anomalies = check()

    assert anomalies.anomalies == ()
    anomalies.raise_for_errors()


@pytest.mark.parametrize(
    ("rows", "kind", "column", "count"),
    [
        ([(3, 10, None, T), (None, 10, 3.0, T)], "missing_value", "rating", 1),
        ([(None, 10, 3.0, T), (None, 20, 3.0, T)], "missing_value", "user_id", 2),
        ([(3, 10, math.nan, T), (3, 20, math.inf, T)], "not_a_number", "rating", 2),
        ([(3, 10, math.nan, T)], "not_a_number", "rating", 1),
        ([(3, 10, 5.5, T), (3, 20, -1.0, T), (4, 20, 0.0, T)], "rating_out_of_scale", "rating", 3),
        ([(3, 10, 3.7, T), (3, 20, 4.0, T)], "rating_off_step", "rating", 1),
        ([(1, 10, 3.0, T), (1, 10, 4.0, T), (2, 20, 1.0, T)], "duplicate_rating", "movie_id", 2),
        ([(3, 77, 3.0, T), (4, 77, 3.0, T)], "unknown_movie", "movie_id", 2),
        ([(3, 10, 3.0, 0), (3, 20, 3.0, 788_918_399)], "timestamp_before_1995", "timestamp", 2),
        ([(3, 10, 3.0, T * 1000)], "timestamp_in_future", "timestamp", 1),
    ],
)
def test_each_kind_of_bad_rating_is_found_and_counted(check, rows, kind, column, count):
    anomalies = check(ratings=RATINGS + rows)

    assert found(anomalies)[kind, column] == count
    (anomaly,) = (a for a in anomalies.anomalies if (a.kind, a.column) == (kind, column))
    assert anomaly.severity == "error"
    assert 1 <= len(anomaly.rows) <= 5
    with pytest.raises(DataError, match=column):
        anomalies.raise_for_errors()


def test_each_kind_of_bad_movie_is_found_and_counted(check):
    anomalies = check(movies=[*MOVIES, (20, ["Drama"], 1991), (30, [], None), (40, None, 1500)])

    assert found(anomalies) == {
        ("duplicate_movie", "movie_id"): 1,
        ("no_genres", "genres"): 1,
        ("no_release_year", "release_year"): 1,
        ("missing_value", "genres"): 1,
        ("implausible_release_year", "release_year"): 1,
    }
    assert {anomaly.kind for anomaly in anomalies.errors} == {"duplicate_movie", "missing_value"}


def test_newer_ratings_than_the_schema_knows_are_a_warning_only(check):
    anomalies = check(ratings=[*RATINGS, (3, 10, 3.0, T + 101)])

    assert [anomaly.kind for anomaly in anomalies.warnings] == ["timestamp_out_of_range"]
    anomalies.raise_for_errors()


def test_no_rating_at_all_is_an_error(check):
    assert [anomaly.kind for anomaly in check(ratings=[]).errors] == ["no_ratings"]


def test_only_the_first_rows_are_shown_however_many_are_bad(check):
    (anomaly,) = check(ratings=[*RATINGS, *((user, 10, 9.0, T) for user in range(100, 300))]).errors

    assert anomaly.count == 200
    assert [row["user_id"] for row in anomaly.rows] == [100, 101, 102, 103, 104]


def test_missing_columns_and_wrong_types_are_found_and_the_rest_is_still_checked(tmp_path, write_examples):
    good = write_examples(tmp_path / "good", RATINGS, MOVIES)
    schema = infer_schema(good)
    pq.write_table(
        pa.table({"user_id": ["a", "b"], "movie_id": [10, 77], "timestamp": [T, T], "note": ["x", "y"]}),
        good / "ratings.parquet",
    )
    pq.write_table(
        pa.table({"movie_id": [10], "title": ["A"], "genres": ["Drama|War"], "release_year": [1990]}),
        good / "movies.parquet",
    )

    anomalies = validate_examples(good, schema, now=NOW)

    assert found(anomalies) == {
        ("missing_column", "rating"): 1,
        ("wrong_type", "user_id"): 1,
        ("unexpected_column", "note"): 1,
        ("wrong_type", "genres"): 1,
        ("wrong_type", "release_year"): 1,
        ("unknown_movie", "movie_id"): 1,
    }


def test_written_anomalies_come_back_also_with_values_that_json_has_not(check, tmp_path):
    anomalies = check(ratings=[*RATINGS, (3, 10, math.nan, T)], movies=[*MOVIES, (30, [], None)])

    write_anomalies(anomalies, tmp_path / "out")

    assert Anomalies.read(tmp_path / "out") == anomalies
    assert "ratings that are not finite numbers" in (tmp_path / "out" / "anomalies.html").read_text()


def test_text_from_the_data_cannot_become_markup(tmp_path, write_examples):
    folder = write_examples(tmp_path / "examples", RATINGS, MOVIES)
    schema = infer_schema(folder)
    table = pq.read_table(folder / "movies.parquet")
    titles = pa.array(["<script>alert(1)</script>", "B"])
    table = table.set_column(1, "title", titles).set_column(
        3, "release_year", pa.array([None, 1990], pa.int32())
    )
    pq.write_table(table, folder / "movies.parquet")

    write_anomalies(validate_examples(folder, schema, now=NOW), tmp_path / "out")

    page = (tmp_path / "out" / "anomalies.html").read_text()
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
