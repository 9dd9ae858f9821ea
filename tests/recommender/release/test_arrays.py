"""Rows that are read from the file of an array instead of mapped."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recommender.release.arrays import FewRows

ROWS = 20_000


@pytest.fixture(scope="module", params=[(), (3,)], ids=["numbers", "vectors"])
def array(request: pytest.FixtureRequest) -> NDArray[np.float32]:
    shape = (ROWS, *request.param)
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


@pytest.fixture(scope="module")
def few_rows(array: NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory) -> FewRows:
    file = tmp_path_factory.mktemp("arrays") / "array.npy"
    np.save(file, array)
    return FewRows(file, np.load(file, mmap_mode="r"))


# Few are read from the file, more than 64 kB (16,384 numbers) come from what is mapped.
@given(start=st.integers(0, ROWS), count=st.integers(0, 40) | st.integers(16_380, 16_390) | st.just(ROWS))
def test_rows_are_those_of_the_array(
    array: NDArray[np.float32], few_rows: FewRows, start: int, count: int
) -> None:
    stop = min(start + count, ROWS)
    rows = few_rows.between(start, stop)
    assert rows.dtype == array.dtype
    np.testing.assert_array_equal(rows, array[start:stop])


def test_an_array_without_rows_has_none(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", np.empty((0, 4), np.int32))
    rows = FewRows(tmp_path / "array.npy", np.load(tmp_path / "array.npy"))
    assert rows.between(0, 0).shape == (0, 4)
