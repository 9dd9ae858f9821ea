"""Statistics, schema and checks come out of Spark as they do of DuckDB."""

import importlib.util
import math
import shutil
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest

from recommender.data.engine import EngineConfig
from recommender.data.schema import infer_schema
from recommender.data.statistics import compute_statistics
from recommender.data.validation import ValidationConfig, write_validated_examples

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("pyspark") is None or shutil.which("java") is None,
    reason="needs pyspark and Java",
)

SPARK = EngineConfig(kind="spark", spark_master="local[1]", memory_limit="1GB")
NOW = datetime(2020, 1, 1, tzinfo=UTC)
T = 1_000_000_000
MOVIES = [(1, ["Comedy", "Drama"], 1990), (2, ["Drama"], 1991), (3, [], None), (4, ["War", "Drama"], 1992)]
GOOD = [
    (user, movie, (user * movie) % 5 + 0.5, T + 86_400 * user + 3_600 * movie)
    for user in range(1, 30)
    for movie in range(1, 5)
    if (user + movie) % 3
]
BAD = [
    (50, 1, math.nan, T),
    (50, 2, None, T),
    (50, 3, 9.0, T * 1000),
    (51, 77, 3.5, T),
    (52, 1, 1.5, T),
    (52, 1, 2.5, T + 1),
]


def test_spark_and_duckdb_agree(tmp_path, write_examples):
    good = write_examples(tmp_path / "good", GOOD, MOVIES)
    mixed = write_examples(tmp_path / "mixed", [*GOOD, *BAD], MOVIES)
    config = ValidationConfig(quarantine=True, max_quarantined_share=0.5)
    outcomes = []
    for name, engine in (("duckdb", EngineConfig()), ("spark", SPARK)):
        schema = infer_schema(good, engine)
        report, output = tmp_path / name / "report", tmp_path / name / "validated"
        anomalies = write_validated_examples(
            mixed, schema, report, output, config=config, engine=engine, now=NOW
        )
        quarantined = pq.read_table(report / "quarantine.parquet")
        outcomes.append(
            {
                "schema": schema,
                "statistics": compute_statistics(mixed, engine).model_dump_json(),
                "kinds": [(a.kind, a.column, a.count, a.severity) for a in anomalies.anomalies],
                "quarantine": anomalies.quarantine,
                "passed": pq.read_table(output / "ratings.parquet").to_pylist(),
                "quarantined": quarantined.drop_columns("rating").to_pylist(),
            }
        )

    on_duckdb, on_spark = outcomes
    assert on_spark == on_duckdb
