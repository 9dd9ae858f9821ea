import json
import math
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recommender.data.checks.anomalies import Anomalies
from recommender.data.fingerprints import table_fingerprint
from recommender.data.schema import infer_schema
from recommender.data.source_report import SourceReport
from recommender.data.sources import ExampleGenConfig, ingest
from recommender.data.validation import ValidationConfig, write_validated_examples
from recommender.errors import DataError

NOW = datetime(2020, 1, 1, tzinfo=UTC)
T = 1_000_000_000
MOVIES = [(movie, ["Drama"], 1990) for movie in range(1, 5)]
GOOD = [(user, movie, (user + movie) % 5 + 1.0, T + movie) for user in range(1, 6) for movie in range(1, 5)]
ANY_SHARE = ValidationConfig(quarantine=True, max_quarantined_share=1.0)


@pytest.fixture
def schema(tmp_path, write_examples):
    return infer_schema(write_examples(tmp_path / "good", GOOD, MOVIES))


@pytest.fixture
def run(tmp_path, write_examples, schema):
    """Validate ratings, and return anomalies, what passed, and what was quarantined."""

    def validate(ratings, config=ANY_SHARE, movies=MOVIES):
        examples = write_examples(tmp_path / "examples", ratings, movies)
        report, output = tmp_path / "report", tmp_path / "validated"
        anomalies = write_validated_examples(examples, schema, report, output, config=config, now=NOW)
        return anomalies, rows_of(output / "ratings.parquet"), quarantined_rows(report)

    return validate


def rows_of(file):
    table = pq.read_table(file)
    return [tuple(row.values()) for row in table.to_pylist()]


def quarantined_rows(report):
    file = report / "quarantine.parquet"
    return pq.read_table(file).to_pylist() if file.exists() else []


def test_bad_ratings_are_set_aside_with_their_reasons_and_good_ones_stay_in_order(run):
    bad = [(7, 1, 9.0, T), (7, 99, 0.3, T), (None, 1, 3.0, None), (7, 3, math.nan, -5)]

    anomalies, passed, quarantined = run([*bad, *reversed(GOOD)])

    assert passed == sorted(GOOD, key=lambda row: (row[0], row[3], row[1]))
    assert {(row["user_id"], row["movie_id"]): sorted(row["reasons"]) for row in quarantined} == {
        (7, 1): ["rating_out_of_scale"],
        (7, 99): ["rating_out_of_scale", "unknown_movie"],
        (None, 1): ["missing_timestamp", "missing_user_id"],
        (7, 3): ["not_a_number", "timestamp_too_old"],
    }
    assert anomalies.quarantine.n_rows == 4
    assert anomalies.quarantine.share == 4 / 24
    assert anomalies.quarantine.n_by_reason == {
        "missing_timestamp": 1,
        "missing_user_id": 1,
        "not_a_number": 1,
        "rating_out_of_scale": 2,
        "timestamp_too_old": 1,
        "unknown_movie": 1,
    }
    assert not anomalies.errors


def test_of_several_ratings_of_one_movie_the_last_by_time_stays(run):
    again = [(8, 1, 2.0, T + 5), (8, 1, 4.0, T + 9), (8, 1, 3.0, T + 7)]

    _anomalies, passed, quarantined = run([*GOOD, *again])

    assert [row for row in passed if row[0] == 8] == [(8, 1, 4.0, T + 9)]
    assert [(row["rating"], row["reasons"]) for row in quarantined] == [
        (2.0, ["duplicate_rating"]),
        (3.0, ["duplicate_rating"]),
    ]


def test_a_bad_rating_does_not_displace_a_good_one_of_the_same_movie(run):
    _anomalies, passed, quarantined = run([*GOOD, (8, 1, 2.0, T), (8, 1, 99.0, T + 9)])

    assert [row for row in passed if row[0] == 8] == [(8, 1, 2.0, T)]
    assert [row["reasons"] for row in quarantined] == [["rating_out_of_scale"]]


def test_of_several_ratings_of_one_movie_none_stays_if_all_are_bad(run):
    anomalies, passed, quarantined = run([*GOOD, (8, 1, 77.0, T), (8, 1, 99.0, T + 9)])

    assert not [row for row in passed if row[0] == 8]
    assert [row["reasons"] for row in quarantined] == [["rating_out_of_scale"]] * 2
    assert {(each.kind, each.count) for each in anomalies.quarantined} == {
        ("rating_out_of_scale", 2),
        ("duplicate_rating", 1),
    }


mixed = st.lists(
    st.tuples(
        st.integers(1, 4),
        st.integers(1, 6),
        st.sampled_from([None, math.nan, 1.0, 2.0, 2.5, 5.0, 6.0]),
        st.sampled_from([None, 0, T, T + 1, T * 1000]),
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ratings=mixed)
def test_every_rating_either_passes_or_is_counted(ratings, run, tmp_path):
    # As ExampleGen writes them: what nothing speaks against passes as it came.
    ratings = sorted(ratings, key=lambda row: (row[0], row[3] is None, row[3] or 0, row[1]))
    usable = [
        row
        for row in ratings
        if row[1] <= 4 and row[2] in {1.0, 2.0, 5.0} and row[3] in {T, T + 1}  # 2.5 is off the step
    ]
    last = {}
    for row in usable:
        last[row[:2]] = max(last.get(row[:2], row), row, key=lambda each: (each[3], each[2]))
    expected = sorted(last.values(), key=lambda row: (row[0], row[3], row[1]))
    (tmp_path / "report" / "quarantine.parquet").unlink(missing_ok=True)

    if not expected:
        with pytest.raises(DataError, match="may be quarantined"):
            run([*ratings])
        return
    anomalies, passed, quarantined = run(ratings)

    assert passed == expected
    assert len(quarantined) == len(ratings) - len(expected)
    n_rows = 0 if anomalies.quarantine is None else anomalies.quarantine.n_rows
    assert n_rows == len(quarantined)


@pytest.mark.parametrize(("limit", "stops"), [(0.2, False), (0.199, True), (0.0, True)])
def test_beyond_the_limit_the_run_stops_and_says_share_and_limit(run, tmp_path, limit, stops):
    config = ValidationConfig(quarantine=True, max_quarantined_share=limit)
    ratings = [*GOOD, *((7, movie, 9.0, T) for movie in range(1, 5)), (7, 1, 8.0, T)]  # 5 of 25

    if not stops:
        run(ratings, config)
        return
    with pytest.raises(DataError, match=rf"5 of 25 rows are bad, 20\.000%, and no more than {limit:.3%}"):
        run(ratings, config)
    assert not (tmp_path / "validated").exists()
    assert Anomalies.read(tmp_path / "report").quarantine.n_rows == 5
    assert len(quarantined_rows(tmp_path / "report")) == 5


def test_without_quarantine_bad_ratings_stop_the_run(run):
    with pytest.raises(DataError, match="1 ratings outside 1 to 5"):
        run([*GOOD, (7, 1, 9.0, T)], ValidationConfig())


def test_bad_movies_stop_the_run_in_spite_of_quarantine(run, tmp_path):
    with pytest.raises(DataError, match="1 movies that occur more than once"):
        run([*GOOD, (7, 1, 9.0, T)], movies=[*MOVIES, MOVIES[0]])
    assert Anomalies.read(tmp_path / "report").quarantine is None
    assert len(Anomalies.read(tmp_path / "report").errors) == 2


@pytest.fixture
def ingested(tmp_path):
    """Examples of which ExampleGen left line 3 out, and of which line 5 is out of scale."""
    source = tmp_path / "source"
    source.mkdir()
    lines = [
        *(f"{user},{movie},3.0,{T + movie}" for user, movie in [(1, 1), (1, 2)]),
        f"2,1,4.0,{T}",
        f"2,2,77.0,{T}",
        *(f"{user},{movie},{movie}.0,{T + user}" for user in range(3, 9) for movie in (1, 2, 4, 5)),
    ]
    lines[1] = f"1,zwei,3.0,{T}"
    (source / "ratings.csv").write_text("\n".join(["userId,movieId,rating,timestamp", *lines]) + "\n")
    (source / "movies.csv").write_text(
        "movieId,title,genres\n" + "".join(f"{movie},M{movie} (1999),Drama\n" for movie in (1, 2, 4, 5))
    )
    folder = tmp_path / "ingested"
    config = ExampleGenConfig(source="directory", path=str(source))
    ingest(config, folder, tmp_path / "downloads", keep_unreadable=True)
    return folder


def test_lines_that_could_not_be_read_are_quarantined_and_counted_too(ingested, tmp_path):
    schema = infer_schema(ingested)
    before = SourceReport.read(ingested)

    anomalies = write_validated_examples(
        ingested, schema, tmp_path / "report", tmp_path / "validated", config=ANY_SHARE, now=NOW
    )

    assert anomalies.quarantine.n_by_reason == {"rating_out_of_scale": 1, "unreadable": 1}
    # 28 lines, of which ExampleGen read 27.
    assert anomalies.quarantine.share == 2 / 28
    unreadable, out_of_scale = quarantined_rows(tmp_path / "report")
    assert (unreadable["line"], unreadable["reasons"], unreadable["value"]) == (3, ["unreadable"], "zwei")
    assert unreadable["rating"] is None
    assert (out_of_scale["line"], out_of_scale["rating"], out_of_scale["value"]) == (5, 77.0, None)
    assert all(row["file"].endswith("ratings.csv") for row in (unreadable, out_of_scale))

    after = SourceReport.read(tmp_path / "validated")
    assert (after.n_ratings, after.n_users) == (before.n_ratings - 1, before.n_users)
    columns = ("user_id", "movie_id", "rating", "timestamp")
    file = tmp_path / "validated" / "ratings.parquet"
    assert after.ratings_sha256 == table_fingerprint(file, columns) != before.ratings_sha256
    assert after.movies_sha256 == before.movies_sha256
    assert after.notes[:-1] == before.notes
    # What ExampleGen wrote is as it was.
    assert SourceReport.read(ingested) == before
    assert table_fingerprint(ingested / "ratings.parquet", columns) == before.ratings_sha256
    assert json.loads((tmp_path / "report" / "anomalies.json").read_text())["quarantine"]["n_rows"] == 2


def test_the_columns_of_ratings_stay_as_they_are(ingested, tmp_path):
    write_validated_examples(
        ingested, infer_schema(ingested), tmp_path / "report", tmp_path / "out", config=ANY_SHARE, now=NOW
    )

    before, after = (pq.read_schema(folder / "ratings.parquet") for folder in (ingested, tmp_path / "out"))
    assert before.remove_metadata() == after.remove_metadata()
    assert after.field("source_file").type == pa.int16()
