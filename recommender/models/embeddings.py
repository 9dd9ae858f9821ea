"""Running the saved towers over every user and movie: what a release serves from."""

import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from recommender.data.columns import Columns
from recommender.features.transformed_examples import History, TransformedExamples
from recommender.models.saved_models import load_signature, movie_vectors, user_vectors

logger = logging.getLogger(__name__)


def write_embeddings(examples: Path, transformed: TransformedExamples, model: Path, output: Path) -> None:
    """Write the tables of a release, each with the towers' vectors.

    User vectors come from the ratings that the model was fitted on. The history holds every rating, those
    that were held out for the test too: a movie that somebody has rated is never recommended to them.

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

    features = pq.read_table(
        transformed.folder / "movie_features.parquet", columns=["rating_count", "avg_rating"]
    )
    catalogue = pq.read_table(
        transformed.folder / "movies.parquet",
        columns=[Columns.MOVIE_ID, Columns.TITLE, Columns.GENRES, Columns.RELEASE_YEAR],
    )
    catalogue = catalogue.append_column("rating_count", features["rating_count"].cast(pa.int64()))
    catalogue = catalogue.append_column("rating_mean", features["avg_rating"].cast(pa.float64()))
    pq.write_table(catalogue.append_column(Columns.EMBEDDING, _lists(movies)), output / "movies.parquet")
    ratings = pq.read_table(
        examples / "ratings.parquet",
        columns=[Columns.USER_ID, Columns.MOVIE_ID, Columns.RATING, Columns.TIMESTAMP],
    )
    ratings = ratings.sort_by([(Columns.USER_ID, "ascending"), (Columns.TIMESTAMP, "ascending")])
    pq.write_table(ratings, output / "history.parquet")
    raters, counts = np.unique(ratings.column(Columns.USER_ID).to_numpy(), return_counts=True)
    pq.write_table(
        pa.table(
            {
                Columns.USER_ID: transformed.user_ids,
                "rating_count": counts[np.searchsorted(raters, transformed.user_ids)],
                Columns.EMBEDDING: _lists(users),
            }
        ),
        output / "users.parquet",
    )
    logger.info("%s user vectors and %s movie vectors", f"{len(users):,}", f"{len(movies):,}")


def _lists(vectors: npt.NDArray[np.float32]) -> pa.Array:
    """float32 [rows, dimension] as a column of lists."""
    rows, dimension = vectors.shape
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * dimension)
    return pa.ListArray.from_arrays(offsets, pa.array(vectors.reshape(-1)))
