import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recommender.data.fingerprints import table_fingerprint

TABLE = pa.table(
    {
        "number": pa.array([1, None, 3, 0], pa.int64()),
        "rating": pa.array([0.5, 1.0, 2.0, 3.0], pa.float32()),
        "genres": [["War"], None, [], ["War", "Drama"]],
    }
)


def written(path, table, **options) -> str:
    pq.write_table(table, path, **options)
    return table_fingerprint(path)


def test_how_a_file_stores_a_table_does_not_matter(tmp_path):
    prints = {
        written(tmp_path / "plain", TABLE),
        written(tmp_path / "zstd", TABLE, compression="zstd", use_dictionary=False),
        written(tmp_path / "groups", TABLE, row_group_size=1),
    }
    assert len(prints) == 1


@pytest.mark.parametrize(
    "table",
    [
        TABLE.slice(1),
        TABLE.rename_columns(["n", "rating", "genres"]),
        TABLE.set_column(0, "number", pa.array([1, 0, 3, 0], pa.int64())),
        TABLE.set_column(0, "number", pa.array([1, 0, 3, None], pa.int64())),
        TABLE.set_column(0, "number", pa.array([1, None, 3, 0], pa.int32())),
        TABLE.set_column(2, "genres", pa.array([["War"], [], [], ["War", "Drama"]])),
    ],
)
def test_another_content_has_another_fingerprint(tmp_path, table):
    assert written(tmp_path / "a", TABLE) != written(tmp_path / "b", table)


def test_only_the_columns_that_count_are_covered(tmp_path):
    pq.write_table(TABLE, tmp_path / "a")
    pq.write_table(TABLE.set_column(2, "genres", pa.nulls(4)), tmp_path / "b")
    prints = [table_fingerprint(tmp_path / name, ["number", "rating"]) for name in "ab"]
    assert prints[0] == prints[1]
