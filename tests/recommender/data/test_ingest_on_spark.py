"""ExampleGen on Spark: what it reads is what it reads on DuckDB."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recommender.data.engine import EngineConfig
from recommender.data.source_report import SourceReport
from recommender.data.sources import ExampleGenConfig, ingest
from recommender.errors import DataError

pytest.importorskip("pyspark")
pytestmark = pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java")

SPARK = EngineConfig(kind="spark", spark_master="local[2]", memory_limit="1GB")
HEADER = "user_id,movie_id,rating,timestamp,note\n"
FILES = {
    "plain.csv": f"{HEADER}1,10,4.5,2024-05-01T14:00:00+02:00,a\n1,20,3,2024-05-01,\n",
    "odd.csv": f'{HEADER}2,1e1,"3.25",1969-12-31 23:59:58.5,"b\nc"\n\n3.0,20,3,2024-05-02,""""\n',
    "broken.csv": f"{HEADER}4,10,4f,2024-05-01,\n4,20,3\n4,30,1,2024-05-01,d\n4,40,1,2024-05-01,d\n",
    "again.csv": f"{HEADER}1,10,2.5,2024-05-01,\n5,10,2,2024-05-01,\n",
}


def read(folder: Path, engine: EngineConfig | None, *, keep_unreadable: bool = True) -> SourceReport:
    config = ExampleGenConfig.from_mapping(
        {
            "source": "directory",
            "path": str(folder),
            "ratings": {"file": "*.csv", "test_file": "test.parquet", "timestamp_unit": "iso"},
        }
    )
    out = folder.parent / (engine.kind if engine else "duckdb")
    return ingest(config, out, folder.parent / "downloads", engine, keep_unreadable=keep_unreadable)


def test_spark_reads_what_duckdb_reads(tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    test = {
        "user_id": [1, 9],
        "movie_id": [20.0, 20.0],
        "rating": ["1", "2"],
        "timestamp": ["2024-05-03"] * 2,
    }
    pq.write_table(pa.table(test), folder / "test.parquet")
    assert read(folder, SPARK) == read(folder, None)
    for name in ("ratings", "movies", "repeated", "unreadable"):
        tables = [pq.read_table(tmp_path / engine / f"{name}.parquet") for engine in ("spark", "duckdb")]
        assert tables[0].schema.names == tables[1].schema.names
        if name in {"ratings", "repeated"}:
            # Spark numbers no rows; what DuckDB reads for it row by row has its lines.
            lines = [row for row in tables[0].column("source_line").to_pylist() if row is not None]
            assert lines == [] or set(lines) <= set(tables[1].column("source_line").to_pylist())
            tables = [table.drop_columns("source_line") for table in tables]
        assert tables[0].to_pylist() == tables[1].to_pylist()
    errors = []
    for engine in (SPARK, None):
        with pytest.raises(DataError) as caught:
            read(folder, engine, keep_unreadable=False)
        errors.append(str(caught.value))
    assert errors[0] == errors[1]
    assert "broken.csv: 2 lines cannot be used.\n  line 2, rating: '4f' is not a finite number" in errors[0]
