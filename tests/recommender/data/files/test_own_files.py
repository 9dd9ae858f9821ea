"""Ratings and movies of one's own, from files as shops have them to canonical tables."""

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.data.rating_scale import RatingScale
from recommender.data.source_report import SourceReport
from recommender.data.sources import ExampleGenConfig, ingest
from recommender.errors import DataError

NOON = 1_714_564_800
"""2024-05-01T12:00:00Z."""
COLUMNS = {"user_id": "customer", "movie_id": "article", "rating": "stars", "timestamp": "bought_at"}


def read(folder: Path, *, keep_unreadable: bool = False, **sections) -> SourceReport:
    config = ExampleGenConfig.from_mapping({"source": "directory", "path": str(folder), **sections})
    out = folder.parent / f"{folder.name} read"
    return ingest(config, out, folder.parent / "downloads", keep_unreadable=keep_unreadable)


def rows(folder: Path, table: str = "ratings") -> list[tuple]:
    path = folder.parent / f"{folder.name} read" / f"{table}.parquet"
    return [tuple(row.values()) for row in pq.read_table(path).to_pylist()]


@pytest.fixture
def shop(tmp_path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    return folder


# Columns, delimiters, quotes.


def test_columns_may_be_called_anything_and_others_are_ignored(shop):
    (shop / "orders.csv").write_bytes(
        b'note;bought_at;article;stars;customer\r\n"a;b ""c""";300;20;7.5;1\r\n;200;10;3;1\r\n'
    )
    (shop / "articles.csv").write_bytes(
        "article\tname\tcategories\tyear\n10\tTea\tDrinks, hot/Leaves\t1999\n20\tCafé\t\t\n".encode("latin-1")
    )
    report = read(
        shop,
        ratings={"file": "orders.csv", "delimiter": ";", "columns": COLUMNS},
        movies={
            "file": "articles.csv",
            "columns": {
                "movie_id": "article",
                "title": "name",
                "genres": "categories",
                "release_year": "year",
            },
            "genre_separator": "/",
        },
        rating_scale={"min": 1, "max": 10, "step": 0.5},
    )
    assert rows(shop) == [(1, 10, 3.0, 200, 0, 3), (1, 20, 7.5, 300, 0, 2)]
    assert rows(shop, "movies") == [
        (10, "Tea", ["Drinks, hot", "Leaves"], 1999, None, None, []),
        (20, "Café", [], None, None, None, []),
    ]
    assert (report.dialect, report.files) == ("own files", ("orders.csv", "articles.csv"))
    assert report.rating_scale == RatingScale(min=1, max=10, step=0.5)
    assert report.notes == ()


def test_canonical_names_need_no_configuration(shop):
    (shop / "ratings.csv").write_text("user_id,movie_id,rating,timestamp\n1,10,90,7\n")
    (shop / "movies.csv").write_text("movie_id,title,genres\n10,Tea (1999),Drinks|Leaves\n")
    report = read(shop)
    assert rows(shop) == [(1, 10, 90.0, 7, 0, 2)]
    assert rows(shop, "movies") == [(10, "Tea (1999)", ["Drinks", "Leaves"], 1999, None, None, [])]
    assert report.rating_scale is None


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_in_the_header(shop, delimiter):
    lines = ["user_id,movie_id,rating,a;b|c", "1,10,4,x"]
    quoted = "\n".join(delimiter.join(f'"{field}"' for field in line.split(",")) for line in lines)
    (shop / "ratings.csv").write_text(quoted)
    read(shop)
    assert rows(shop) == [(1, 10, 4.0, None, 0, 2)]


FIELDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
NUMBERS = st.integers(min_value=0, max_value=2**63 - 1)
TABLES = st.lists(
    st.tuples(FIELDS, NUMBERS, NUMBERS, st.sampled_from([0.5, 3.25, 10.0]), st.integers(-(2**33), 2**33)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(
    table=TABLES,
    delimiter=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    end=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "latin-1"]),
)
def test_a_csv_file_is_read_as_python_reads_it(tmp_path_factory, table, delimiter, quoting, end, encoding):
    folder = tmp_path_factory.mktemp("own") / "shop"
    folder.mkdir()
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=end)
    writer.writerow(["note", "user_id", "movie_id", "rating", "timestamp"])
    # Python writes these without quotes, and then reads them as the end of a line. Between quotes it counts
    # them as the end of a line, which no editor does.
    table = [(note.replace("\r", ""), *numbers) for note, *numbers in table]
    writer.writerows(table)
    (folder / "ratings.csv").write_bytes(text.getvalue().encode(encoding, "replace"))
    reader = csv.reader(io.StringIO(text.getvalue(), newline=""), delimiter=delimiter)
    next(reader)
    start, expected = reader.line_num + 1, {}
    for _note, user, movie, rating, timestamp in reader:
        # The latest stays, of several the highest, of several the first.
        place = (int(timestamp), float(rating), -start)
        expected[int(user), int(movie)] = max(place, expected.get((int(user), int(movie)), place))
        start = reader.line_num + 1
    read(folder, ratings={"file": "ratings.csv"})
    assert sorted(rows(folder)) == [
        (*pair, rating, timestamp, 0, -line) for pair, (timestamp, rating, line) in sorted(expected.items())
    ]


def test_a_row_that_spans_lines_has_the_number_of_its_first(shop):
    (shop / "ratings.csv").write_text(
        'user_id,movie_id,rating,note\n1,10,4,"a\nb"\n\n2,10,4,c\n3,10,four,"d\n\ne"\n4,10,x,""\n'
    )
    with pytest.raises(DataError) as caught:
        read(shop)
    assert (
        "2 lines cannot be used.\n  line 6, rating: 'four' is not a finite number\n  line 9, rating"
        in str(caught.value)
    )


@pytest.mark.parametrize("more", ["", "2,20,4,7,\n\n"])
def test_a_delimiter_at_the_end_of_a_line_does_not_matter(shop, more):
    (shop / "ratings.csv").write_text(f"user_id,movie_id,rating,timestamp\n1,10,4,7,\n{more}")
    read(shop)
    assert rows(shop)[0] == (1, 10, 4.0, 7, 0, 2)


def test_ids_as_large_as_an_int64_are_exact(shop):
    (shop / "ratings.csv").write_text(
        "user_id,movie_id,rating\n9007199254740993,9223372036854775807,1\n9007199254740992,0,2\n"
    )
    read(shop)
    assert [row[:2] for row in rows(shop)] == [(2**53, 0), (2**53 + 1, 2**63 - 1)]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"customer,movie_id,stars\n1,1,1\n", "line 1: the header lacks user_id, rating; it has 'customer, "),
        (b"User_ID,movie_id,rating\n1,1,1\n", "Is 'User_ID' meant?"),
        (b"user_id,rating,movie_id,rating\n1,1,1,1\n", "line 1: the header has 'rating' twice"),
        (b"user_id,movie_id,rating\nanna,1,1\n", "line 2, user_id: 'anna' is not a whole number from 0 to"),
        (b"user_id,movie_id,rating\nanna,1,1\n", "ids that are text have to be numbered first"),
        (b"user_id;movie_id;rating\n1;1;3,5\n", "line 2, rating: '3,5' has a decimal comma"),
        (b'user_id,movie_id,rating\n1,1,1\n2,1,"1\n', "line 3: unexpected end of data"),
        (b"user_id,movie_id,rating,timestamp\n1,1,1,1714564800000\n", "timestamp_unit to ms"),
        (b"user_id,movie_id,rating,timestamp\n1,1,1,1714564800000000\n", "timestamp_unit to us"),
        (b"user_id,movie_id,rating,timestamp\n1,1,1,2024-05-01\n", "is a date: set example_gen.ratings"),
    ],
)  # fmt: skip
def test_a_csv_file_that_does_not_fit_says_where_and_what_to_do(shop, content, told):
    (shop / "ratings.csv").write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(shop, ratings={})
    assert f"{shop / 'ratings.csv'}" in str(caught.value)
    assert told in str(caught.value)


def test_a_column_that_is_named_must_be_there(shop):
    (shop / "ratings.csv").write_text("user_id,movie_id,rating\n1,1,1\n")
    with pytest.raises(DataError, match="header lacks bought_at; it has 'user_id, movie_id, rating'"):
        read(shop, ratings={"columns": {"timestamp": "bought_at"}})


@pytest.mark.parametrize("pattern", ["nowhere.csv", "none/*.csv", "empty"])
def test_files_that_are_not_there_are_named(shop, pattern):
    (shop / "empty").mkdir()
    with pytest.raises(DataError, match=r"Set example_gen\.ratings to files under example_gen\.path"):
        read(shop, ratings={"file": pattern})


# Times.


@pytest.mark.parametrize(
    ("unit", "written"),
    [
        ("s", [str(NOON), f"{NOON}.0"]),
        ("ms", [f"{NOON}000", f"{NOON}999"]),
        ("us", [f"{NOON}000000", f"{NOON}999999"]),
        (
            "iso",
            [
                "2024-05-01T12:00:00Z",
                "2024-05-01 12:00:00",
                "2024-05-01 12:00:00.999",
                "2024-05-01T14:00:00+02:00",
            ],
        ),
    ],
)
def test_times_become_whole_seconds(shop, unit, written):
    lines = [f"{user},1,1,{time}" for user, time in enumerate(written)]
    (shop / "ratings.csv").write_text("\n".join(["user_id,movie_id,rating,timestamp", *lines]))
    read(shop, ratings={"timestamp_unit": unit})
    assert [row[3] for row in rows(shop)] == [NOON] * len(written)


def test_a_day_is_its_beginning_and_times_before_1970_are_rounded_down(shop):
    (shop / "ratings.csv").write_text(
        "user_id,movie_id,rating,timestamp\n1,1,1,1970-01-02\n2,1,1,1969-12-31T23:59:58.5Z\n"
    )
    read(shop, ratings={"timestamp_unit": "iso"})
    assert [row[3] for row in rows(shop)] == [86_400, -2]


@pytest.mark.parametrize("time", ["yesterday", "infinity", "2024-13-01", "1714564800", ""])
def test_what_is_no_time_is_told(shop, time):
    (shop / "ratings.csv").write_text(f"user_id,movie_id,rating,timestamp\n1,1,1,{time}\n")
    with pytest.raises(DataError, match=f"line 2, timestamp: '{time}' is "):
        read(shop, ratings={"timestamp_unit": "iso"})


def test_without_times_movies_and_genres_the_report_says_what_falls_away(shop):
    (shop / "ratings.csv").write_text("user_id,movie_id,rating\n2,10,4\n1,20,3\n1,10,5\n1,10,2\n")
    report = read(shop, ratings={})
    assert rows(shop) == [(1, 10, 5.0, None, 0, 4), (1, 20, 3.0, None, 0, 3), (2, 10, 4.0, None, 0, 2)]
    assert pq.read_schema(shop.parent / "shop read/ratings.parquet").field("timestamp").type == pa.int64()
    assert rows(shop, "movies") == [
        (10, "Movie 10", [], None, None, None, []),
        (20, "Movie 20", [], None, None, None, []),
    ]
    assert rows(shop, "repeated") == [(1, 10, 2.0, None, 0, 5)]
    assert not report.has_timestamps
    told = " ".join(report.notes)
    for part in ("rating_velocity", "splits by time", 'called "Movie <id>"'):
        assert part in told


def test_files_must_agree_on_whether_there_are_times(shop):
    (shop / "a.csv").write_text("user_id,movie_id,rating\n1,1,1\n")
    (shop / "b.csv").write_text("user_id,movie_id,rating,timestamp\n1,2,1,7\n")
    with pytest.raises(DataError, match=r"b\.csv has timestamps and .*a\.csv has none"):
        read(shop, ratings={"file": "*.csv"})


# Parquet.


def test_parquet_columns_may_have_any_type_that_says_the_same(shop):
    when = datetime(2024, 5, 1, 12, 0, 0, 500_000, UTC)
    (shop / "ratings").mkdir()
    tables = [
        {"user_id": pa.array([1], pa.uint8()), "movie_id": pa.array([10], pa.int32()),
         "rating": pa.array([4], pa.int16()), "timestamp": pa.array([when], pa.timestamp("ms", "UTC"))},
        {"user_id": pa.array([2.0]), "movie_id": pa.array(["10"]),
         "rating": pa.array([Decimal("3.5")]), "timestamp": pa.array([NOON], pa.int64())},
        {"user_id": pa.array([3], pa.uint64()), "movie_id": pa.array(["10"]).dictionary_encode(),
         "rating": pa.array(["3.25"]), "timestamp": pa.array([when], pa.timestamp("ns"))},
        {"user_id": pa.array([4, 5]), "movie_id": pa.array([10, 10]),
         "rating": pa.array([1.0, 2.0]), "timestamp": pa.array([when.date()] * 2, pa.date32())},
    ]  # fmt: skip
    for position, columns in enumerate(tables):
        pq.write_table(
            pa.table({**columns, "more": [None] * len(columns["user_id"])}),
            shop / f"ratings/{position}.parquet",
        )
    (shop / "ratings/_SUCCESS").touch()
    report = read(shop, ratings={"file": "ratings"})
    midnight = NOON - 12 * 3600
    assert rows(shop) == [
        (1, 10, 4.0, NOON, 0, 1),
        (2, 10, 3.5, NOON, 1, 1),
        (3, 10, 3.25, NOON, 2, 1),
        (4, 10, 1.0, midnight, 3, 1),
        (5, 10, 2.0, midnight, 3, 2),
    ]
    assert report.files == tuple(f"ratings/{position}.parquet" for position in range(4))


@pytest.mark.parametrize("genres", [[["Drinks", "Hot"], None], ["Drinks|Hot", ""]])
def test_movies_may_be_parquet(shop, genres):
    pq.write_table(pa.table({"user_id": [1], "movie_id": [20], "rating": [4.0]}), shop / "ratings.parquet")
    movies = {
        "movie_id": [20.0, 10.0],
        "title": ["Tea", "Tape (1999)"],
        "genres": genres,
        "release_year": [1980, None],
        "tags": [["Warm", "green ", "warm"], None],
    }
    pq.write_table(pa.table(movies), shop / "movies.parquet")
    read(shop)
    assert rows(shop, "movies") == [
        (10, "Tape (1999)", [], 1999, None, None, []),
        (20, "Tea", ["Drinks", "Hot"], 1980, None, None, ["warm", "green"]),
    ]


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"user_id": [True]}, "column 'user_id' has the type bool, but should hold numbers or text"),
        ({"timestamp": [[1]]}, "column 'timestamp' has the type list<element: int64>"),
        ({"rating": [datetime(2024, 5, 1)]}, "column 'rating' has the type timestamp"),
        ({"user_id": [1.5]}, "row 1, user_id: '1.5' is not a whole number from 0 to 2^63-1"),
        ({"user_id": [-1]}, "row 1, user_id: '-1' is not a whole number from 0 to 2^63-1"),
        ({"user_id": pa.array([2**63], pa.uint64())}, f"row 1, user_id: '{2**63}' is not a whole number"),
        ({"user_id": ["anna"]}, "row 1, user_id: 'anna' is not a whole number from 0 to 2^63-1: ids"),
        ({"rating": [float("nan")]}, "row 1, rating: 'nan' is not a finite number"),
        ({"rating": pa.array([None], pa.float32())}, "row 1, rating: '' is missing"),
        ({"timestamp": pa.array([None], pa.int64())}, "row 1, timestamp: '' is missing"),
    ],
)  # fmt: skip
def test_a_parquet_file_that_does_not_fit_says_where(shop, columns, told):
    table = {"user_id": [1], "movie_id": [1], "rating": [1.0], **columns}
    pq.write_table(pa.table(table), shop / "ratings.parquet")
    with pytest.raises(DataError) as caught:
        read(shop)
    assert f"{shop / 'ratings.parquet'}" in str(caught.value)
    assert told in str(caught.value)


def test_a_parquet_file_that_is_cut_short_is_told(shop):
    (shop / "ratings.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match=r"ratings\.parquet cannot be read as Parquet"):
        read(shop)


def test_unreadable_rows_of_parquet_are_put_aside_with_file_and_row(shop):
    for name, users in (("a", [1, 2]), ("b", [3, 4, -5])):
        table = pa.table({"user_id": users, "movie_id": [7] * len(users), "rating": [1.0] * len(users)})
        pq.write_table(table, shop / f"{name}.parquet")
    report = read(shop, keep_unreadable=True, ratings={"file": "*.parquet"})
    assert rows(shop, "unreadable") == [(1, 3, "user_id", "-5", "is not a whole number from 0 to 2^63-1")]
    assert (report.n_ratings, report.n_unreadable) == (4, 1)


# Parts of the split.


def test_parts_come_from_their_files_and_what_is_tested_is_not_trained_on(shop):
    header = "user_id,movie_id,rating,timestamp\n"
    (shop / "train.csv").write_text(f"{header}1,10,1,1\n1,20,2,2\n1,30,3,3\n1,30,4,4\n")
    (shop / "valid.csv").write_text(f"{header}1,20,5,1\n1,40,3,3\n")
    (shop / "test.csv").write_text(f"{header}1,10,2,1\n")
    report = read(
        shop, ratings={"file": "train.csv", "validation_file": "valid.csv", "test_file": "test.csv"}
    )
    assert rows(shop) == [
        (1, 10, 2.0, 1, 2, 2, "test"),
        (1, 20, 5.0, 1, 1, 2, "validation"),
        (1, 40, 3.0, 3, 1, 3, "validation"),
        (1, 30, 4.0, 4, 0, 5, "train"),
    ]
    assert rows(shop, "repeated") == [
        (1, 10, 1.0, 1, 0, 2, "train"),
        (1, 20, 2.0, 2, 0, 3, "train"),
        (1, 30, 3.0, 3, 0, 4, "train"),
    ]
    assert pq.read_schema(shop.parent / "shop read/ratings.parquet").names[-1] == "part"
    assert report.files == ("train.csv", "valid.csv", "test.csv")
    assert report.n_repeated_ratings == 3
    assert any(
        note.startswith("Dropped 2 ratings of a movie that the same user also") for note in report.notes
    )
    assert any(note.startswith("Dropped 1 earlier rating") for note in report.notes)


def test_a_part_without_ratings_is_refused(shop):
    (shop / "ratings.csv").write_text("user_id,movie_id,rating\n1,1,1\n")
    (shop / "test.csv").write_text("user_id,movie_id,rating\n")
    with pytest.raises(DataError, match=r"test\.csv holds no ratings"):
        read(shop, ratings={"test_file": "test.csv"})
