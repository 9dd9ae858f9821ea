"""Every strategy divides ratings on Spark as it does on DuckDB."""

import random
import shutil
from typing import get_args

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recommender.data.engine import EngineConfig, open_engine, write_parquet
from recommender.data.split_ratings import split_ratings
from recommender.data.splits import SplitConfig, Strategy

pytest.importorskip("pyspark", reason="pyspark is not installed")
pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(shutil.which("java") is None, reason="there is no Java on the PATH"),
]

IDS = [1, 2, 3, 2**31, 2**32 + 1, 2**63 - 1, -(2**63)]


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    scratch = tmp_path_factory.mktemp("scratch")
    engines = [
        open_engine(EngineConfig(kind=kind, spark_master="local[2]"), scratch=scratch)
        for kind in ("duckdb", "spark")
    ]
    yield engines
    for engine in engines:
        engine.disconnect()


@pytest.fixture(scope="module")
def ratings_file(ratings_arrow, tmp_path_factory):
    draw = random.Random(3)
    pairs = [
        (user, movie)
        for user in [*range(4, 20), *IDS]
        for movie in [*range(10, 30), *IDS]
        if draw.random() < 0.5
    ]
    rows = [(user, movie, draw.randint(1, 10) / 2, draw.randint(0, 300_000)) for user, movie in pairs]
    parts = pa.array([draw.choice(["train", "train", "test"]) for _ in rows])
    file = tmp_path_factory.mktemp("ratings") / "ratings.parquet"
    pq.write_table(ratings_arrow(rows).append_column("part", parts), file)
    return file


@pytest.mark.parametrize(
    "config",
    [
        *(SplitConfig(strategy=strategy) for strategy in get_args(Strategy)),
        SplitConfig(within="movie"),
    ],
    ids=lambda config: f"{config.strategy} within {config.within}",
)
def test_the_same_rows_are_in_the_same_part(engines, ratings_file, config, tmp_path):
    written = []
    for engine in engines:
        ratings = engine.read_parquet(str(ratings_file))
        if config.strategy != "provided":
            ratings = ratings.drop("part")
        rows = split_ratings(ratings, config, 42)
        file = tmp_path / f"{engine.name}.parquet"
        write_parquet(engine, rows, file, ["user_id", "movie_id"])
        written.append(pq.read_table(file))

    on_duckdb, on_spark = written
    assert set(on_duckdb["part"].to_pylist()) == {"train", "validation", "test"}
    assert on_spark.to_pydict() == on_duckdb.to_pydict()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["duckdb.parquet", "pyspark.parquet"]
