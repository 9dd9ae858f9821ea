"""Sums of rows of a table: what a history of movies comes to."""

import tensorflow as tf


def sum_of_rows(table: tf.Tensor, rows: tf.RaggedTensor, weight: tf.Tensor | None = None) -> tf.Tensor:
    """For each list of rows the sum of these rows of a table, for training.

    The rows themselves are never written out, neither for the sums nor for their gradient, which makes a
    step of training several times faster than gathering them.

    Args:
        table: float32 [rows, width].
        rows: int32 ragged [lists, None].
        weight: float32 [values of `rows`], what each is multiplied by; 1 if not given.

    Returns:
        float32 [lists, width].
    """
    lists = rows.value_rowids()
    if weight is None:
        return tf.sparse.segment_sum(table, rows.values, lists, num_segments=rows.nrows())
    places = tf.stack([lists, tf.cast(rows.values, tf.int64)], axis=1)
    shape = [rows.nrows(), tf.shape(table, tf.int64)[0]]
    return tf.sparse.sparse_dense_matmul(tf.SparseTensor(places, weight, shape), table)
