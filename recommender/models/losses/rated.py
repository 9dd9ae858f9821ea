"""Which movies of a batch a user has rated already, and so are no negatives for that user."""

import tensorflow as tf


def rated(positive: tf.Tensor, history: tf.RaggedTensor, movie_index: tf.Tensor, n_movies: int) -> tf.Tensor:
    """Look some movies up among those that the users of some ratings have rated.

    Takes time and memory by the length of the histories and by the size of the answer, not by
    users x catalogue.

    Args:
        positive: int32 [batch], the movie of each rating.
        history: int32 ragged [batch, None], what else its user has rated, -1 for an unknown movie.
        movie_index: int32 [movies], positions; one may stand there several times.
        n_movies: Movies in the catalogue.

    Returns:
        bool [batch, movies].
    """
    distinct, place = tf.unique(movie_index)
    n_distinct = tf.size(distinct)
    # Where each movie of the catalogue stands among the distinct ones; the last column is for the others.
    column = tf.tensor_scatter_nd_update(
        tf.fill([n_movies + 1], n_distinct), distinct[:, tf.newaxis] + 1, tf.range(n_distinct)
    )
    rows = tf.cast(history.value_rowids(), tf.int32)
    cells = tf.stack([rows, tf.gather(column, history.values + 1)], axis=-1)
    shape = [tf.cast(history.nrows(), tf.int32), n_distinct + 1]
    found = tf.tensor_scatter_nd_update(tf.zeros(shape, tf.bool), cells, tf.ones_like(rows, tf.bool))
    return tf.gather(found, place, axis=1) | (positive[:, tf.newaxis] == movie_index)
