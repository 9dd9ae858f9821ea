"""Ratings that a service collected, on their way back into the data."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from recommender.data.collected_ratings import export_ratings, read_collected
from recommender.data.engine import EngineConfig
from recommender.data.rating_store import COLLECTED_SCHEMA, RatingStore
from recommender.data.source_report import CollectedReport, SourceReport
from recommender.data.sources import ExampleGenConfig, fingerprint, ingest
from recommender.errors import DataError, RatingStoreError

SOURCE = """user_id,movie_id,rating,timestamp
1,10,1.0,100
1,20,2.0,200
1,30,3.0,300
1,40,4.0,400
2,10,5.0,500
2,20,5.0,600
"""
WITHOUT_TIMES = "\n".join(line.rpartition(",")[0] for line in SOURCE.splitlines()) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "source"
    made.mkdir()
    (made / "ratings.csv").write_text(SOURCE)
    return made


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ratings.db'}"


@pytest.fixture
def store(address: str) -> Iterator[RatingStore]:
    opened = RatingStore.open(address)
    opened.rate(1, 10, 4.5, 150)  # later than the source's
    opened.rate(1, 20, 4.5, 200)  # at the same second
    opened.rate(1, 30, 4.5, 250)  # earlier
    opened.delete(1, 40)
    opened.delete(2, 10)
    opened.rate(2, 10, 0.5, 50)  # earlier than what was removed
    opened.delete(2, 99)  # never rated
    opened.rate(3, 77, 3.5, 700)  # a new user and a new movie
    yield opened
    opened.close()


MERGED = [
    (1, 10, 4.5, 150),
    (1, 20, 4.5, 200),
    (1, 30, 3.0, 300),
    (2, 10, 0.5, 50),
    (2, 20, 5.0, 600),
    (3, 77, 3.5, 700),
]


def merged(
    folder: Path, collected: str | Path | None, engine: EngineConfig | None = None, **more: Any
) -> tuple[list[tuple], SourceReport]:
    config = ExampleGenConfig.from_mapping(
        {
            "source": "directory",
            "path": str(folder),
            "collected": None if collected is None else str(collected),
            **more,
        }
    )
    report = ingest(config, folder.parent / "out", folder.parent / "downloads", engine)
    table = pq.read_table(folder.parent / "out/ratings.parquet")
    rows = table.select(["user_id", "movie_id", "rating", "timestamp"]).to_pylist()
    assert SourceReport.read(folder.parent / "out") == report
    return sorted(tuple(row.values()) for row in rows), report


@pytest.mark.parametrize("handed_over", ["store", "parquet", "csv"])
def test_the_later_rating_counts_and_what_was_removed_is_gone(
    folder: Path, store: RatingStore, address: str, handed_over: str
):
    collected: str | Path = address
    if handed_over != "store":
        collected = folder.parent / f"collected.{handed_over}"
        assert export_ratings(store, collected) == (5, 2)
    rows, report = merged(folder, collected)
    assert rows == MERGED
    name = address if handed_over == "store" else f"collected.{handed_over}"
    assert report.collected == CollectedReport(
        # 10 and 20 of user 1 and 10 of user 2 gave way, 40 of user 1 is gone.
        source=name,
        n_ratings=5,
        n_removals=2,
        n_replaced=3,
        n_removed=1,
    )
    assert report.files == ("ratings.csv", name)
    assert report.n_repeated_ratings == 1
    assert any(note.startswith("Added 5 ratings that a service collected") for note in report.notes)


def test_a_collected_rating_says_where_it_comes_from(folder: Path, store: RatingStore):
    file = folder.parent / "collected.parquet"
    export_ratings(store, file)
    _, report = merged(folder, file)
    lines = pq.read_table(file).to_pylist()
    collected = [
        row
        for row in pq.read_table(folder.parent / "out/ratings.parquet").to_pylist()
        if report.files[row["source_file"]] == "collected.parquet"
    ]
    assert len(collected) == 4
    for row in collected:
        line = lines[row["source_line"] - 1]
        assert {name: line[name] for name in ("user_id", "movie_id", "rating", "timestamp")} == {
            name: row[name] for name in ("user_id", "movie_id", "rating", "timestamp")
        }


def test_where_the_source_has_no_times_what_was_collected_counts(
    folder: Path, store: RatingStore, address: str
):
    (folder / "ratings.csv").write_text(WITHOUT_TIMES)
    rows, report = merged(folder, address)
    assert [row[:3] for row in rows] == [
        (1, 10, 4.5),
        (1, 20, 4.5),
        (1, 30, 4.5),
        (2, 10, 0.5),
        (2, 20, 5.0),
        (3, 77, 3.5),
    ]
    assert {row[3] for row in rows} == {None}
    assert not report.has_timestamps


def test_collected_ratings_belong_to_the_training_part(folder: Path, store: RatingStore, address: str):
    (folder / "test.csv").write_text("user_id,movie_id,rating,timestamp\n3,77,1.0,1\n")
    rows, _ = merged(folder, address, ratings={"test_file": "test.csv"})
    # What the model is judged by stays, and the same movie is kept from its training.
    assert rows == [*MERGED[:-1], (3, 77, 1.0, 1)]
    parts = pq.read_table(folder.parent / "out/ratings.parquet", columns=["part"])["part"].to_pylist()
    assert sorted(parts) == ["test", *["train"] * 5]


def test_an_empty_store_changes_nothing_but_the_report(folder: Path, address: str):
    RatingStore.open(address).close()
    rows, report = merged(folder, address)
    assert rows == merged(folder, None)[0]
    assert report.collected == CollectedReport(
        source=address, n_ratings=0, n_removals=0, n_replaced=0, n_removed=0
    )


def test_spark_merges_as_duckdb_does(folder: Path, store: RatingStore, address: str):
    pytest.importorskip("pyspark")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    spark = EngineConfig(kind="spark", spark_master="local[1]", memory_limit="1GB")
    rows, report = merged(folder, address, spark)
    assert rows == MERGED
    assert report.collected == merged(folder, address)[1].collected


def test_the_fingerprint_changes_with_every_rating_and_with_nothing_else(
    folder: Path, store: RatingStore, address: str
):
    file = folder.parent / "collected.csv"

    def both() -> list[str]:
        export_ratings(store, file)
        return [
            fingerprint(ExampleGenConfig(source="directory", path=str(folder), collected=collected))
            for collected in (address, str(file))
        ]

    before = both()
    assert both() == before
    store.rate(1, 10, 5.0, 151)
    after = both()
    assert not set(before) & set(after)
    store.delete(1, 10)
    assert not {*before, *after} & set(both())


def test_an_export_is_sorted_and_whole(store: RatingStore, tmp_path: Path):
    for file in (tmp_path / "new" / "a.parquet", tmp_path / "new" / "a.csv"):
        export_ratings(store, file)
        assert [path.name for path in file.parent.iterdir() if path.suffix == file.suffix] == [file.name]
    table = pq.read_table(tmp_path / "new" / "a.parquet")
    assert table.schema == COLLECTED_SCHEMA
    assert table.sort_by([("user_id", "ascending"), ("timestamp", "ascending")]) == table
    lines = (tmp_path / "new" / "a.csv").read_text().splitlines()
    assert lines[:2] == ['"user_id","movie_id","rating","timestamp","removed"', "1,10,4.5,150,false"]
    assert len(lines) == 8


def test_a_file_of_another_kind_is_not_written(store: RatingStore, tmp_path: Path):
    with pytest.raises(DataError, match=r"ends in \.parquet or \.csv"):
        export_ratings(store, tmp_path / "ratings.xlsx")


ROW = {"user_id": 1, "movie_id": 10, "rating": 3.0, "timestamp": 5, "removed": False}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"user_id": -1}, "row 2: user_id is -1; it should be a whole number from 0"),
        ({"movie_id": None}, "row 2: movie_id is None"),
        ({"rating": float("inf")}, "row 2: rating is inf; it should be a finite number"),
        ({"rating": None}, "row 2: rating is None; it should be there, or removed is true"),
        ({"timestamp": 0}, "row 2: timestamp is 0"),
        ({"removed": None}, "row 2: removed is None"),
        ({"user_id": 1}, "1 pairs of user and movie twice"),
    ],
)
@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_row_that_does_not_fit_is_named(tmp_path: Path, change: dict[str, Any], message: str, suffix: str):
    schema = pa.schema([field.with_nullable(True) for field in COLLECTED_SCHEMA])
    table = pa.Table.from_pylist([ROW, {**ROW, "user_id": 2, **change}], schema=schema)
    file = tmp_path / f"odd.{suffix}"
    if suffix == "csv":
        pacsv.write_csv(table, file)
    else:
        pq.write_table(table, file)
    with pytest.raises(DataError, match=f"{file}.*{message}.*Export the ratings again"):
        read_collected(str(file))


@pytest.mark.parametrize(
    "content",
    [b"user_id,movie_id\n1,2\n", b"user_id,movie_id,rating,timestamp,removed\nx,2,3,4,true\n", b"PAR1x"],
)
def test_a_file_that_is_no_export_is_refused_by_name(tmp_path: Path, content: bytes):
    file = tmp_path / "odd"
    file.write_bytes(content)
    with pytest.raises(
        DataError, match=f"{file} cannot be read as user_id, movie_id.*Export the ratings again"
    ):
        read_collected(str(file))


def test_a_file_or_store_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match=f"{tmp_path}/nowhere.csv"):
        read_collected(f"{tmp_path}/nowhere.csv")
    with pytest.raises(RatingStoreError, match=f"{tmp_path}/nowhere.db holds no ratings"):
        read_collected(f"sqlite:///{tmp_path}/nowhere.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("address", ["postgresql://u:secret@h/d", "postgresql://u@h/d?password=secret"])
def test_a_configuration_takes_no_passwords(address: str):
    with pytest.raises(ValidationError, match="PGPASSWORD"):
        ExampleGenConfig(collected=address)


def test_collected_ratings_come_from_postgresql(folder: Path, postgresql: str):
    store = RatingStore.open(postgresql)
    store.rate(3, 77, 3.5, 700)
    store.close()
    rows, report = merged(folder, postgresql)
    assert (3, 77, 3.5, 700) in rows
    assert report.collected == CollectedReport(
        source="postgresql+psycopg://marquee@/postgres", n_ratings=1, n_removals=0, n_replaced=0, n_removed=0
    )
