"""Transform on Spark gives what it gives on DuckDB."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recommender.data.engine import EngineConfig
from recommender.data.sources import ExampleGenConfig, ingest
from recommender.data.splits import SplitConfig
from recommender.features.transform import TransformConfig, transform
from recommender.features.vocabulary import Vocabulary

pytest.importorskip("pyspark", reason="pyspark is not installed")
pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(shutil.which("java") is None, reason="there is no Java on the PATH"),
]

SPARK = EngineConfig(kind="spark", spark_master="local[2]")
SMALL = Path(__file__).parents[4] / "shared" / "data" / "ml-latest-small.zip"
TOLERANCE = 1e-9


@pytest.fixture(scope="module")
def latest_small(tmp_path_factory):
    if not SMALL.is_file():
        pytest.skip(f"{SMALL} is not there")
    folder = tmp_path_factory.mktemp("latest small") / "examples"
    ingest(ExampleGenConfig(source="directory", path=str(SMALL)), folder, folder.parent)
    return folder


@pytest.mark.parametrize(
    ("examples", "split"),
    [
        ("examples_folder", SplitConfig()),
        ("latest_small", SplitConfig(strategy="time_user", min_rating=1.0, k_core=5)),
    ],
)
def test_spark_gives_the_same_parts_and_equal_features(examples, split, request, tmp_path):
    folder = request.getfixturevalue(examples)
    config = TransformConfig(split=split)

    on_duckdb = transform(folder, config, 7, tmp_path / "duckdb")
    on_spark = transform(folder, config, 7, tmp_path / "spark", SPARK)

    assert on_spark == on_duckdb
    assert Vocabulary.read(tmp_path / "spark") == Vocabulary.read(tmp_path / "duckdb")
    files = sorted(file.name for file in (tmp_path / "duckdb").iterdir())
    assert sorted(file.name for file in (tmp_path / "spark").iterdir()) == files
    for name in files:
        if name.endswith(".parquet"):
            assert_equal(pq.read_table(tmp_path / "spark" / name), pq.read_table(tmp_path / "duckdb" / name))


def assert_equal(one, other):
    assert one.schema.names == other.schema.names
    assert one.schema.types == other.schema.types
    for name in one.column_names:
        if pa.types.is_floating(one.schema.field(name).type):
            np.testing.assert_allclose(one[name], other[name], rtol=TOLERANCE, atol=TOLERANCE)
        else:
            assert one[name].equals(other[name]), name
