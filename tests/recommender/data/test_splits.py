import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from recommender.data.splits import SplitConfig, content_sha256

ROWS = [(user, movie, 3.0, movie) for user in range(1, 201) for movie in range(1, 21)]


def test_the_fingerprint_depends_on_values_and_not_on_how_they_are_stored(ratings_arrow, tmp_path):
    def fingerprint(rows, **stored):
        pq.write_table(rows, tmp_path / "ratings.parquet", **stored)
        return content_sha256(tmp_path / "ratings.parquet")

    table = ratings_arrow(ROWS)
    other = table.set_column(2, "rating", pa.array([2.5, *[3.0] * (len(ROWS) - 1)], pa.float32()))

    whole = fingerprint(table)

    assert fingerprint(table, row_group_size=7, compression="zstd") == whole
    assert fingerprint(other) != whole


@pytest.mark.parametrize(
    "bad",
    [
        {"test_size": 1.0},
        {"validation_size": -0.1},
        {"min_user_ratings": 0},
        {"k_core": 0},
        {"k_core": 2.5},
        {"strategy": "x"},
        {"strategy": "time_user", "within": "movie"},
    ],
)
def test_a_split_that_cannot_be_is_refused(bad):
    with pytest.raises(ValidationError):
        SplitConfig.from_mapping(bad)
