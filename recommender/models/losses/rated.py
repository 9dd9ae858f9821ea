"""Which movies of a batch a user has rated already, and so are no negatives for that user."""

import tensorflow as tf


def rated(history: tf.RaggedTensor, movie_index: tf.Tensor, n_movies: int) -> tf.Tensor:
    """Look some movies up in some histories.

    Takes time and memory by the length of the histories and by the size of the answer, not by
    users x catalogue.

    Args:
        history: int32 ragged [batch, None] of movie positions, -1 for an unknown movie.
        movie_index: int32 [movies], positions; one may stand there several times.
        n_movies: Movies in the catalogue.

    Returns:
        bool [batch, movies].
    """
    size = [tf.cast(history.nrows(), tf.int32), tf.size(movie_index)]
    return tf.cond(
        tf.size(history.values) > 0,
        lambda: _looked_up(history, movie_index, n_movies),
        lambda: tf.zeros(size, tf.bool),
    )


def _looked_up(history: tf.RaggedTensor, movie_index: tf.Tensor, n_movies: int) -> tf.Tensor:
    distinct, place = tf.unique(movie_index)
    n_distinct = tf.size(distinct)
    # Where each movie of the catalogue stands among the distinct ones; the last place is for the others.
    place_of = tf.tensor_scatter_nd_update(
        tf.fill([n_movies + 1], n_distinct), distinct[:, tf.newaxis] + 1, tf.range(n_distinct)
    )
    rows = tf.cast(history.value_rowids(), tf.int32)
    # A row a movie, because copying rows is several times as fast as copying columns.
    cells = tf.stack([tf.gather(place_of, history.values + 1), rows], axis=-1)
    shape = [n_distinct + 1, tf.cast(history.nrows(), tf.int32)]
    found = tf.tensor_scatter_nd_update(tf.zeros(shape, tf.bool), cells, tf.ones_like(rows, tf.bool))
    return tf.transpose(tf.gather(found, place))
