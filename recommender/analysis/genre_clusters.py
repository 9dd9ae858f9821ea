"""Whether movies of a genre lie together among the vectors."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score

from recommender.release import Release


class GenreClusters(NamedTuple):
    """Movies on two maps, and how well genres are told apart among the vectors themselves."""

    movies: pd.DataFrame
    """`title`, `genre`, `pca_x`, `pca_y`, `tsne_x` and `tsne_y` of each movie."""
    explained: float
    """Share of the variance of the vectors that the two principal components have."""
    silhouette: float
    """Mean over movies of (b - a) / max(a, b), a the mean cosine distance to its own genre and b that to the
    nearest other (Rousseeuw 1987): from -1, all among others, to 1, far apart; 0 says that genres overlap."""
    shuffled: float
    """The same with genres dealt out at random: what no structure at all gives."""


def genre_clusters(
    release: Release, *, genres: int = 6, min_ratings: int = 20, most: int = 2_000, seed: int = 0
) -> GenreClusters:
    """Map the best-known movies of the most common genres.

    A movie counts for the first of these genres that it has, the rarest first, as Drama, which nearly half
    of all movies have, says least.

    Args:
        release: Whose movies.
        genres: How many of the genres, the most common ones.
        min_ratings: Movies with fewer are left out: their vectors have hardly been learned.
        most: Movies on the map at most, those with the most ratings.
        seed: Of t-SNE and of what is shuffled.

    Raises:
        ValueError: fewer than two genres have such movies, so that there is nothing to tell apart.
    """
    known = release.popular_positions[:most]
    known = known[release.movie_rating_counts[known] >= min_ratings]
    movies = [release.movie(int(movie_id)) for movie_id in release.movie_ids[known]]
    common = pd.Series([genre for movie in movies for genre in movie.genres], dtype="str").value_counts()
    chosen = common.index[:genres].tolist()[::-1]
    labels = [next((genre for genre in chosen if genre in movie.genres), None) for movie in movies]
    kept = [place for place, label in enumerate(labels) if label is not None]
    label = np.array([labels[place] for place in kept])
    if len(set(label.tolist())) < 2:
        raise ValueError(
            f"Movies with {min_ratings} ratings or more are all of one genre: lower min_ratings."
        )
    vectors = _unit(release.movie_vectors[known[kept]])
    components = PCA(n_components=2, svd_solver="full")
    pca = components.fit_transform(vectors)
    tsne = TSNE(
        metric="cosine", init="pca", perplexity=min(30, (len(kept) - 1) / 3), random_state=seed
    ).fit_transform(vectors)
    shuffled = np.random.default_rng(seed).permutation(label)
    frame = pd.DataFrame(
        {
            "title": [movies[place].title for place in kept],
            "genre": label,
            "pca_x": pca[:, 0],
            "pca_y": pca[:, 1],
            "tsne_x": tsne[:, 0],
            "tsne_y": tsne[:, 1],
        }
    )
    return GenreClusters(
        movies=frame,
        explained=float(components.explained_variance_ratio_.sum()),
        silhouette=float(silhouette_score(vectors, label, metric="cosine")),
        shuffled=float(silhouette_score(vectors, shuffled, metric="cosine")),
    )


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = (vectors / np.where(lengths == 0, 1, lengths)).astype(np.float32)
    return unit
