import re
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from recommender.data.engine import (
    EngineConfig,
    movies_table,
    open_engine,
    ratings_table,
    stored,
    write_parquet,
)
from recommender.errors import DataError


@pytest.fixture
def engine(tmp_path):
    engine = open_engine(EngineConfig(memory_limit="500MB"), scratch=tmp_path / "scratch")
    yield engine
    engine.disconnect()


def test_a_written_file_is_sorted_and_has_several_row_groups(engine, tmp_path):
    n_rows = 300_000
    # 7,919 has no factor in common with the number of rows, so every number comes once.
    engine.con.register("numbers", pa.table({"n": [i * 7_919 % n_rows for i in range(n_rows)]}))

    rows = write_parquet(engine, engine.table("numbers"), tmp_path / "n.parquet", ["n"])

    assert pq.read_table(tmp_path / "n.parquet")["n"].to_pylist() == list(range(n_rows))
    with pq.ParquetFile(tmp_path / "n.parquet") as file:
        assert file.num_row_groups == 3
    assert rows.count().to_pyarrow().as_py() == n_rows


def test_stored_rows_come_back(engine, tmp_path):
    engine.con.register("numbers", pa.table({"n": [3, 1, 2]}))

    rows = stored(engine, engine.table("numbers"), tmp_path / "my father's numbers.parquet")

    assert sorted(rows["n"].to_pyarrow().to_pylist()) == [1, 2, 3]


def test_a_missing_table_names_the_file_and_the_step(engine, tmp_path):
    with pytest.raises(DataError, match=r"movies\.parquet is missing: run ExampleGen"):
        movies_table(engine, tmp_path)


def test_what_is_not_parquet_is_refused(engine, tmp_path):
    (tmp_path / "ratings.parquet").write_text("user,movie\n")

    with pytest.raises(DataError, match=r"ratings\.parquet cannot be read as Parquet"):
        ratings_table(engine, tmp_path)


@pytest.mark.parametrize(
    ("limit", "n_bytes"),
    [("512MB", 512_000_000), ("2GB", 2_000_000_000), ("512MiB", 2**29), ("10GiB", 10 * 2**30)],
)
def test_a_memory_limit_is_a_number_of_bytes(limit, n_bytes):
    assert EngineConfig(memory_limit=limit).memory_bytes == n_bytes


@pytest.mark.parametrize(
    "bad", [{"memory_limit": "2 GB"}, {"threads": 0}, {"kind": "spark", "memory_limit": "200MB"}]
)
def test_an_engine_that_cannot_be_is_refused(bad):
    with pytest.raises(ValidationError):
        EngineConfig.from_mapping(bad)


def test_spark_without_pyspark_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyspark.errors", None)

    with pytest.raises(DataError, match=re.escape("pip install 'ibis-framework[pyspark]'")):
        open_engine(EngineConfig(kind="spark"))


def test_spark_without_java_says_how_to_get_it(monkeypatch, tmp_path):
    pytest.importorskip("pyspark")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))

    with pytest.raises(DataError, match="install Java 17 or 21"):
        open_engine(EngineConfig(kind="spark"))
