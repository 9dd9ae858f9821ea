"""Whether a movie's nearest neighbours are like it, by how much is known of it."""

from typing import Final

import numpy as np
import pandas as pd

from recommender.release import Release
from recommender.retrieval.exact_index import ExactMovieIndex

_RANGES: Final = ((0, 0), (1, 4), (5, 19), (20, 99), (100, None))


def neighbour_genres(
    release: Release, *, neighbours: int = 10, most: int = 500, seed: int = 0
) -> pd.DataFrame:
    """How like a movie's neighbours are to it in genre, from movies that nobody has rated to popular ones.

    Args:
        release: Whose movies. Its counts hold all ratings, also those that were held out from training.
        neighbours: How many of the nearest, by dot product, are looked at.
        most: Movies to draw from each range.
        seed: Of the draw.

    Returns:
        By range of the number of `ratings`: `movies`, how many there are; `jaccard`, the mean over drawn
        movies and their neighbours of |genres in common| / |genres of either|; `expected`, the same for
        movies drawn in place of the neighbours; `neighbour_ratings`, the median number of ratings of the
        neighbours.
    """
    generator = np.random.default_rng(seed)
    index = ExactMovieIndex(release.movie_ids, release.movie_vectors)
    genres = [frozenset(release.movie(int(movie_id)).genres) for movie_id in release.movie_ids]
    counts = release.movie_rating_counts
    rows = []
    for low, high in _RANGES:
        inside = np.flatnonzero((counts >= low) & (counts <= (counts.max() if high is None else high)))
        if not len(inside):
            continue
        drawn = generator.choice(inside, min(most, len(inside)), replace=False)
        found = index.search_batch(
            release.movie_vectors[drawn],
            neighbours,
            excludes=[[int(one)] for one in release.movie_ids[drawn]],
        )
        near = [release.movie_positions(np.array([one.movie_id for one in row], np.int64)) for row in found]
        chance = generator.integers(len(genres), size=(len(drawn), neighbours))
        rows.append(
            {
                "ratings": f"{low:,} or more" if high is None else f"{low:,} to {high:,}" if high else "none",
                "movies": len(inside),
                "jaccard": _mean_jaccard(genres, drawn, near),
                "expected": _mean_jaccard(genres, drawn, list(chance)),
                "neighbour_ratings": float(np.median(counts[np.concatenate(near)])),
            }
        )
    return pd.DataFrame(rows).set_index("ratings")


def _mean_jaccard(genres: list[frozenset[str]], movies: np.ndarray, others: list[np.ndarray]) -> float:
    shares = [
        len(genres[movie] & genres[other]) / max(len(genres[movie] | genres[other]), 1)
        for movie, row in zip(movies.tolist(), others, strict=True)
        for other in row.tolist()
    ]
    return float(np.mean(shares))
