"""Vectors as a column of a table, and back."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def to_column(vectors: npt.NDArray[np.float32]) -> pa.ListArray:
    """float32 [rows, dimension] as a column of lists, for at most 2**31 numbers."""
    rows, dimension = vectors.shape
    offsets = pa.array(np.arange(rows + 1, dtype=np.int64) * dimension, pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.array(vectors.reshape(-1)))


def from_column(column: pa.ChunkedArray) -> npt.NDArray[np.float32]:
    """A column of lists of one length as float32 [rows, dimension]."""
    lists = column.combine_chunks()
    flat = np.asarray(lists.flatten().to_numpy(zero_copy_only=False), np.float32)
    return np.ascontiguousarray(flat).reshape(len(lists), -1)
