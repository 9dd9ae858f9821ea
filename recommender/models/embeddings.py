"""Running the saved towers over every user and movie: what a release serves from."""

import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recommender.data.columns import Columns
from recommender.data.vector_column import to_column
from recommender.features.transformed_examples import History, TransformedExamples
from recommender.models.saved_models import load_signature, movie_vectors, user_vectors

logger = logging.getLogger(__name__)


def write_embeddings(examples: Path, transformed: TransformedExamples, model: Path, output: Path) -> None:
    """Write the tables of a release, each with the towers' vectors.

    User vectors come from the ratings that the model was fitted on. History, counts and means hold every
    rating, those that were held out for the test too: a movie that somebody has rated is never recommended
    to them.

    Args:
        examples: Canonical `ratings.parquet` and `movies.parquet`.
        transformed: What Transform wrote.
        model: Holds `user_tower/` and `movie_tower/`.
        output: Gets `movies.parquet`, `users.parquet` and `history.parquet`.
    """
    fitted_on = transformed.interactions("train") + transformed.interactions("validation").known()
    history = History.of(fitted_on, transformed.n_users)
    users = user_vectors(load_signature(model / "user_tower"), transformed, history)
    movies = movie_vectors(load_signature(model / "movie_tower"), transformed)
    output.mkdir(parents=True, exist_ok=True)

    ratings = pq.read_table(
        examples / "ratings.parquet",
        columns=[Columns.USER_ID, Columns.MOVIE_ID, Columns.RATING, Columns.TIMESTAMP],
    )
    # Where the source has no times, all are the same.
    times = pc.fill_null(ratings[Columns.TIMESTAMP], 0)
    ratings = ratings.set_column(ratings.schema.get_field_index(Columns.TIMESTAMP), Columns.TIMESTAMP, times)
    ratings = ratings.sort_by([(Columns.USER_ID, "ascending"), (Columns.TIMESTAMP, "ascending")])
    pq.write_table(ratings, output / "history.parquet")

    rated = np.searchsorted(transformed.movie_ids, ratings.column(Columns.MOVIE_ID).to_numpy())
    counts = np.bincount(rated, minlength=transformed.n_movies)
    stars = np.bincount(rated, ratings.column(Columns.RATING).to_numpy(), minlength=transformed.n_movies)
    catalogue = pq.read_table(
        transformed.folder / "movies.parquet",
        columns=[Columns.MOVIE_ID, Columns.TITLE, Columns.GENRES, Columns.RELEASE_YEAR, Columns.TAGS],
    )
    catalogue = catalogue.append_column("rating_count", pa.array(counts, pa.int64()))
    means = pa.array(stars / np.maximum(counts, 1), mask=counts == 0)
    catalogue = catalogue.append_column("rating_mean", means)
    pq.write_table(catalogue.append_column(Columns.EMBEDDING, to_column(movies)), output / "movies.parquet")

    raters, rated_by = np.unique(ratings.column(Columns.USER_ID).to_numpy(), return_counts=True)
    pq.write_table(
        pa.table(
            {
                Columns.USER_ID: transformed.user_ids,
                "rating_count": rated_by[np.searchsorted(raters, transformed.user_ids)],
                Columns.EMBEDDING: to_column(users),
            }
        ),
        output / "users.parquet",
    )
    logger.info("%s user vectors and %s movie vectors", f"{len(users):,}", f"{len(movies):,}")
