"""What is told of vectors, on a release whose vectors are placed by hand."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recommender.analysis.genre_clusters import genre_clusters
from recommender.analysis.neighbour_genres import neighbour_genres
from recommender.analysis.vector_geometry import magnitudes, pair_cosines
from recommender.data.vector_column import to_column
from recommender.release import HISTORY_SCHEMA, MOVIES_SCHEMA, USERS_SCHEMA, Release, write_release

N = 60
GENRES = ("War", "Comedy")


@pytest.fixture
def placed(empty_parts: dict[str, Path], tmp_path: Path) -> Release:
    """Sixty movies: even ones are War near (3, 0, 0), odd ones Comedy near (0, 2, 0). One user rates War."""
    generator = np.random.default_rng(0)
    ids = np.arange(N)
    vectors = np.where(ids[:, None] % 2 == 0, [3.0, 0, 0], [0, 2.0, 0]) + generator.normal(0, 0.05, (N, 3))
    movies = pa.table(
        [
            ids,
            [f"Movie {movie}" for movie in ids],
            [[GENRES[movie % 2]] for movie in ids],
            pa.nulls(N, pa.int32()),
            [[]] * N,
            np.full(N, 50),
            np.full(N, 3.0),
            to_column(vectors.astype(np.float32)),
        ],
        schema=MOVIES_SCHEMA,
    )
    users = pa.table([[0], [30], to_column(np.array([[0, 3, 4]], np.float32))], schema=USERS_SCHEMA)
    history = pa.table(
        [np.zeros(30, int), ids[::2], np.full(30, 4.0, np.float32), np.arange(30)], schema=HISTORY_SCHEMA
    )
    tables = {"movies": movies, "users": users, "history": history}
    for name, table in tables.items():
        pq.write_table(table, empty_parts[f"{name}.parquet"])
    manifest = {
        "dataset": "placed by hand",
        "config": {},
        "seed": 0,
        "git_commit": None,
        "libraries": {},
        "data": {},
        "counts": {"users": 1, "movies": N, "ratings": 30},
        "dimension": 3,
        "metrics": {},
    }
    releases = tmp_path / "releases"
    return Release.load(releases / write_release(releases, empty_parts, manifest))


def test_genres_that_lie_apart_have_a_silhouette_near_one_and_those_dealt_out_none(placed: Release):
    clusters = genre_clusters(placed, genres=2)
    assert clusters.silhouette > 0.95
    assert abs(clusters.shuffled) < 0.2
    assert len(clusters.movies) == N
    assert clusters.explained > 0.95
    # On both maps a straight cut tells them apart: the nearest movie of each is of its genre.
    for method in ("pca", "tsne"):
        points = clusters.movies[[f"{method}_x", f"{method}_y"]].to_numpy()
        apart = np.linalg.norm(points[:, None] - points[None], axis=2) + np.diag(np.full(N, np.inf))
        genre = clusters.movies["genre"].to_numpy()
        assert (genre[apart.argmin(axis=1)] == genre).all()


def test_one_genre_alone_cannot_be_told_apart(placed: Release):
    with pytest.raises(ValueError, match="all of one genre"):
        genre_clusters(placed, genres=1)


def test_pairs_that_belong_together_have_larger_cosines(placed: Release):
    cosines = pair_cosines(placed, pairs=500).groupby("kind")["cosine"]
    # Half of any two movies are of one genre, at a cosine of 1, and half of two, at 0.
    assert cosines.mean()["any two movies"] == pytest.approx(0.5, abs=0.06)
    assert cosines.min()["a genre in common"] > 0.9
    assert cosines.min()["rated by one user"] > 0.9


def test_magnitudes_are_lengths(placed: Release):
    lengths = magnitudes(placed)
    assert lengths.loc[lengths["of"] == "user", "magnitude"].tolist() == [5]  # (0, 3, 4)
    movies = lengths.loc[lengths["of"] == "movie", "magnitude"].to_numpy()
    np.testing.assert_allclose(movies[::2], 3, atol=0.2)
    np.testing.assert_allclose(movies[1::2], 2, atol=0.2)


def test_neighbours_are_compared_with_movies_drawn_at_random(placed: Release):
    near = neighbour_genres(placed, neighbours=5)
    assert near.index.tolist() == ["20 to 99"]
    assert near.loc["20 to 99", "movies"] == N
    assert near.loc["20 to 99", "jaccard"] == 1
    assert near.loc["20 to 99", "expected"] == pytest.approx(0.5, abs=0.12)
    assert near.loc["20 to 99", "neighbour_ratings"] == 50
