"""How the vectors of a release lie: the angles between movies, and how long vectors are."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recommender.release import Release


def pair_cosines(release: Release, pairs: int = 20_000, seed: int = 0) -> pd.DataFrame:
    """Cosines of pairs of movies, to see whether what belongs together lies together.

    Args:
        release: Whose movies; those without a rating are left out.
        pairs: How many of each kind to draw.
        seed: Of the draw.

    Returns:
        `kind` and `cosine` of each pair: `any two movies`; `a genre in common`, those among twice as many
        drawn pairs that share a genre; `rated by one user`, two movies that one user rated, each user with
        two ratings as likely.
    """
    generator = np.random.default_rng(seed)
    rated = np.flatnonzero(release.movie_rating_counts > 0)
    one, other = (rated[generator.integers(len(rated), size=2 * pairs)] for _ in range(2))
    genres = [frozenset(release.movie(int(movie_id)).genres) for movie_id in release.movie_ids]
    share = np.array([bool(genres[i] & genres[j]) for i, j in zip(one, other, strict=True)])
    together = _rated_together(release, pairs, generator)
    kinds = {
        "any two movies": (one[:pairs], other[:pairs]),
        "a genre in common": (one[share][:pairs], other[share][:pairs]),
        "rated by one user": together,
    }
    frames = []
    for kind, (left, right) in kinds.items():
        apart = left != right
        frames.append(pd.DataFrame({"kind": kind, "cosine": _cosines(release, left[apart], right[apart])}))
    return pd.concat(frames, ignore_index=True)


def _rated_together(
    release: Release, pairs: int, generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    lengths = release.rating_counts
    starts = np.cumsum(lengths) - lengths
    users = generator.choice(np.flatnonzero(lengths > 1), pairs)
    places = [starts[users] + generator.integers(lengths[users], size=pairs) for _ in range(2)]
    rated = release.histories(0, len(lengths)).movie_ids
    left, right = (release.movie_positions(rated[place]) for place in places)
    return left, right


def _cosines(release: Release, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float32]:
    vectors = release.movie_vectors
    dots = np.einsum("ij,ij->i", vectors[left], vectors[right])
    lengths = np.linalg.norm(vectors, axis=1)
    cosines: NDArray[np.float32] = dots / np.maximum(
        lengths[left] * lengths[right], np.finfo(np.float32).tiny
    )
    return cosines


def magnitudes(release: Release) -> pd.DataFrame:
    """How long each vector is, beside the number of ratings.

    Returns:
        `of` (`movie` or `user`), `ratings`, and `magnitude`, the Euclidean length.
    """
    return pd.concat(
        pd.DataFrame({"of": of, "ratings": counts, "magnitude": np.linalg.norm(vectors, axis=1)})
        for of, counts, vectors in (
            ("movie", release.movie_rating_counts, release.movie_vectors),
            ("user", release.user_rating_counts, release.user_vectors),
        )
    )
