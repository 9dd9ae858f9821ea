import math
import subprocess
import sys
from datetime import UTC, datetime
from itertools import product

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recommender.data.checks.anomalies import Anomalies, write_anomalies
from recommender.data.schema import infer_schema
from recommender.data.sources import ExampleGenConfig, ingest
from recommender.data.validation import ValidationConfig, validate_examples, write_validated_examples
from recommender.errors import DataError

NOW = datetime(2020, 1, 1, tzinfo=UTC)
T = 1_000_000_000
RATINGS = [(1, 10, 0.5, T), (1, 20, 4.5, T + 50), (2, 10, 5.0, T + 90), (2, 20, 3.0, T + 100)]
MOVIES = [(10, ["Comedy"], 1990), (20, ["Drama"], 1991)]


@pytest.fixture
def schema(tmp_path, write_examples):
    """The schema of the good rows above."""
    return infer_schema(write_examples(tmp_path / "good", RATINGS, MOVIES))


@pytest.fixture
def check(tmp_path, write_examples, schema):
    """Validate ratings and movies against it."""

    def run(ratings=RATINGS, movies=MOVIES, config=None):
        folder = write_examples(tmp_path / "checked", ratings, movies)
        return validate_examples(folder, schema, config=config, now=NOW)

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
        ([(3, 10, 3.0, None)], "missing_value", "timestamp", 1),
        ([(3, 10, math.nan, T), (3, 20, math.inf, T)], "not_a_number", "rating", 2),
        ([(3, 10, math.nan, T)], "not_a_number", "rating", 1),
        ([(3, 10, -math.inf, T)], "not_a_number", "rating", 1),
        ([(3, 10, 5.5, T), (3, 20, -1.0, T), (4, 20, 0.0, T)], "rating_out_of_scale", "rating", 3),
        ([(3, 10, 3.7, T), (3, 20, 4.0, T)], "rating_off_step", "rating", 1),
        ([(1, 10, 3.0, T), (1, 10, 4.0, T), (2, 20, 1.0, T)], "duplicate_rating", "movie_id", 2),
        ([(3, 77, 3.0, T), (4, 77, 3.0, T)], "unknown_movie", "movie_id", 2),
        ([(3, 10, 3.0, 0), (3, 20, 3.0, 788_918_399)], "timestamp_too_old", "timestamp", 2),
        ([(3, 10, 3.0, -1)], "timestamp_too_old", "timestamp", 1),
        ([(3, 10, 3.0, T * 1000)], "timestamp_in_future", "timestamp", 1),
        ([(3, 10, 3.0, int(NOW.timestamp()) + 86_401)], "timestamp_in_future", "timestamp", 1),
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


def test_nan_is_found_where_all_other_ratings_are_equal(check):
    # Parquet's statistics then say that the column has one value, and no missing one.
    anomalies = check(ratings=[(1, 10, 4.0, T), (2, 10, 4.0, T), (2, 20, math.nan, T)])

    assert found(anomalies) == {("not_a_number", "rating"): 1}


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


def test_ratings_without_times_are_fine_where_the_source_has_none(tmp_path, write_examples):
    ratings = [(user, movie, value, None) for user, movie, value, _time in RATINGS]
    folder = write_examples(tmp_path / "timeless", ratings, MOVIES)

    assert validate_examples(folder, infer_schema(folder), now=NOW).anomalies == ()


def test_users_who_rate_faster_than_a_human_are_a_warning(check):
    movies = [(movie, ["Drama"], 1990) for movie in range(1, 13)]
    hour = T - T % 3600
    ratings = [
        *((1, movie, 3.0, hour + movie) for movie in range(1, 13)),
        *((2, movie, 3.0, hour + movie * 600) for movie in range(1, 13)),
    ]

    anomalies = check(ratings, movies, ValidationConfig(max_ratings_per_hour=10))

    (anomaly,) = anomalies.warnings
    assert (anomaly.kind, anomaly.count) == ("inhuman_speed", 1)
    assert anomaly.rows == ({"user_id": 1, "ratings_in_an_hour": 12, "first_such_hour": hour},)
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


pairs = st.tuples(st.integers(1, 3), st.integers(1, 4))
rows = st.lists(
    st.tuples(pairs, st.sampled_from([None, math.nan, 0.0, 0.5, 2.0, 2.3, 5.0, 9.0]), st.integers(-1, 2)),
    min_size=1,
    max_size=15,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=rows)
def test_counts_agree_with_a_count_row_by_row(rows, check):
    times = {-1: 0, 0: T, 1: T + 1, 2: T * 1000}
    ratings = [(user, movie * 10, value, times[time]) for (user, movie), value, time in rows]

    counts = found(check(ratings=ratings))

    values = [row[2] for row in ratings]
    numbers = [value for value in values if value is not None and not math.isnan(value)]
    by_pair = [sum(row[:2] == pair for row in ratings) for pair in product(range(1, 4), range(10, 50, 10))]
    expected = {
        ("missing_value", "rating"): values.count(None),
        ("not_a_number", "rating"): sum(value is not None for value in values) - len(numbers),
        ("rating_out_of_scale", "rating"): sum(not 0.5 <= value <= 5 for value in numbers),
        ("rating_off_step", "rating"): numbers.count(2.3),
        ("duplicate_rating", "movie_id"): sum(n > 1 for n in by_pair),
        ("unknown_movie", "movie_id"): sum(row[1] > 20 for row in ratings),
        ("timestamp_too_old", "timestamp"): sum(row[3] == 0 for row in ratings),
        ("timestamp_in_future", "timestamp"): sum(row[3] == T * 1000 for row in ratings),
    }
    assert counts == {kind: count for kind, count in expected.items() if count}


@pytest.fixture
def ingested(tmp_path):
    """Examples from a csv file whose line 4 is out of scale, and whose lines 2 and 6 rate the same movie."""
    source = tmp_path / "source"
    source.mkdir()
    lines = ["1,10,4.0,1000000000", "1,20,2.0,1000000001", "2,10,9.0,1000000002", "2,20,3.5,1000000003"]
    (source / "ratings.csv").write_text(
        "\n".join(["userId,movieId,rating,timestamp", *lines, "1,10,5.0,1000000009"]) + "\n"
    )
    (source / "movies.csv").write_text(
        'movieId,title,genres\n10,"<script>alert(1)</script>",Drama\n20,B (1999),War\n'
    )
    folder = tmp_path / "ingested"
    ingest(ExampleGenConfig(source="directory", path=str(source)), folder, tmp_path / "downloads")
    return folder


def test_bad_rows_are_told_with_their_file_and_line(ingested, schema):
    anomalies = validate_examples(ingested, schema, now=NOW)

    (anomaly,) = anomalies.errors
    assert anomaly.kind == "rating_out_of_scale"
    (row,) = anomaly.rows
    assert (row["line"], row["rating"]) == (4, 9.0)
    assert row["file"].endswith("ratings.csv")
    with pytest.raises(DataError, match=r"ratings\.csv, line 4: user_id 2, movie_id 10, rating 9\.0"):
        anomalies.raise_for_errors()


def test_ratings_that_gave_way_to_later_ones_are_a_warning_with_their_lines(ingested, schema):
    (anomaly,) = (a for a in validate_examples(ingested, schema, now=NOW).warnings if a.column == "movie_id")

    assert (anomaly.kind, anomaly.count) == ("repeated_rating", 1)
    assert (anomaly.rows[0]["line"], anomaly.rows[0]["rating"]) == (2, 4.0)


def test_written_anomalies_come_back_also_with_values_that_json_has_not(check, tmp_path):
    anomalies = check(ratings=[*RATINGS, (3, 10, math.nan, T)], movies=[*MOVIES, (30, [], None)])

    write_anomalies(anomalies, tmp_path / "out")

    assert Anomalies.read(tmp_path / "out") == anomalies
    assert "atings that are not finite numbers" in (tmp_path / "out" / "anomalies.html").read_text()


def test_text_from_the_data_cannot_become_markup(ingested, schema, tmp_path):
    write_anomalies(validate_examples(ingested, schema, now=NOW), tmp_path / "out")

    page = (tmp_path / "out" / "anomalies.html").read_text()
    assert "&lt;script&gt;" in page
    assert "<script>" not in page


def test_examples_that_pass_are_linked_not_copied(tmp_path, write_examples, schema):
    examples = write_examples(tmp_path / "good", RATINGS, MOVIES)

    write_validated_examples(examples, schema, tmp_path / "report", tmp_path / "validated", now=NOW)

    for name in ("ratings.parquet", "movies.parquet"):
        assert (tmp_path / "validated" / name).samefile(examples / name)


def test_examples_that_fail_leave_a_report_and_nothing_else(tmp_path, write_examples, schema):
    examples = write_examples(tmp_path / "bad", [*RATINGS, (3, 77, 3.0, T)], MOVIES)

    with pytest.raises(DataError, match="1 ratings of movies"):
        write_validated_examples(examples, schema, tmp_path / "report", tmp_path / "validated", now=NOW)

    assert Anomalies.read(tmp_path / "report").errors
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad", "good", "report"]


FULL_DISC = """
import resource, signal, sys
from pathlib import Path
from recommender.data.schema import infer_schema
from recommender.data.validation import ValidationConfig, write_validated_examples
from recommender.errors import DataError
good, examples, root = map(Path, sys.argv[1:])
schema = infer_schema(good)
config = ValidationConfig(quarantine=True, max_quarantined_share=1.0)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
try:
    write_validated_examples(examples, schema, root / "report", root / "validated", config=config)
except DataError as error:
    sys.exit(f"DataError: {error}")
"""


@pytest.mark.parametrize(("n_bad", "told", "left"), [(1, "validated", ["report"]), (20_000, "report", [])])
def test_a_disc_that_is_full_is_told_and_nothing_half_written_stays(
    tmp_path, write_examples, n_bad, told, left
):
    """A limit on the size of files stands in for the end of a disc."""
    good = [(user, 10 + user % 2 * 10, 1.0 + user * 7 % 5, T + user * user) for user in range(20_000)]
    bad = [(user, 10, 9.0, T + user * user) for user in range(20_000, 20_000 + n_bad)]
    examples = write_examples(tmp_path / "examples", [*good, *bad], MOVIES)
    (tmp_path / "there").mkdir()
    folders = [write_examples(tmp_path / "good", good, MOVIES), examples, tmp_path / "there"]

    command = [sys.executable, "-c", FULL_DISC, *map(str, folders)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert f"DataError: The tables for {tmp_path / 'there' / told} cannot be written: " in ended.stderr
    assert "there is room" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == left
