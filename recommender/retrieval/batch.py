"""The best movies for every user at once."""

import uuid
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recommender.data.columns import Columns
from recommender.data.vector_column import from_column
from recommender.features.history import History
from recommender.release import Release, positions_of
from recommender.retrieval.re_rank import USERS_AT_ONCE, ReRanking, recall

RECOMMENDATIONS_SCHEMA: Final = pa.schema(
    [
        (Columns.USER_ID, pa.int64()),
        (Columns.RANK, pa.int32()),
        (Columns.MOVIE_ID, pa.int64()),
        (Columns.SCORE, pa.float32()),
    ]
)
"""Columns of recommendations, sorted by `user_id`, then `rank`."""


def recommend_all(release: Release, k: int, *, block_scores: int = 1 << 22) -> pa.Table:
    """The `k` best movies for every user of a release; movies a user has rated never come back.

    Where the release has a re-ranker, it orders what the vectors recall, as the service does.

    Args:
        release: whose users and movies.
        k: how many for each user, 1 or more; a user with fewer movies left gets fewer.
        block_scores: how many scores are in memory at once, whatever the number of users.

    Returns:
        A table of `RECOMMENDATIONS_SCHEMA`.

    Raises:
        DataError: a file of the re-ranker holds something else.
        ReleaseError: the re-ranker cannot be run.
        ValueError: `k` below 1.
    """
    lengths = release.rating_counts
    has_vector = np.isin(release.raters, release.user_ids)
    counts = np.zeros(len(release.user_ids), dtype=np.int64)
    counts[positions_of(release.raters[has_vector], release.user_ids)] = lengths[has_vector]
    rated = np.repeat(has_vector, lengths)
    histories = release.histories(0, len(release.raters))
    folder = release.re_ranker_folder
    return recommend_table(
        user_ids=release.user_ids,
        user_vectors=release.user_vectors,
        movie_ids=release.movie_ids,
        movie_vectors=release.movie_vectors,
        seen_offsets=np.append(0, np.cumsum(counts)),
        seen_movie_ids=histories.movie_ids[rated],
        seen_ratings=histories.ratings[rated],
        re_ranking=None if folder is None else ReRanking.load(folder),
        k=k,
        block_scores=block_scores,
    )


def recommend_table(
    *,
    user_ids: NDArray[np.int64],
    user_vectors: NDArray[np.float32],
    movie_ids: NDArray[np.int64],
    movie_vectors: NDArray[np.float32],
    seen_offsets: NDArray[np.int64],
    seen_movie_ids: NDArray[np.int64],
    seen_ratings: NDArray[np.float32],
    re_ranking: ReRanking | None,
    k: int,
    block_scores: int = 1 << 22,
) -> pa.Table:
    """The `k` best unseen movies for every user, from arrays; lower movie id first among equals.

    With a re-ranker the score is the one that it orders by, otherwise the dot product of the vectors.

    Args:
        user_ids: int64 [users].
        user_vectors: float32 [users, dimension].
        movie_ids: int64 [movies], ascending.
        movie_vectors: float32 [movies, dimension].
        seen_offsets: int64 [users + 1]; user `i` has seen `seen_movie_ids[offsets[i]:offsets[i + 1]]`.
        seen_movie_ids: int64 [ratings], oldest first within a user; ids that are no movie here are passed
            over.
        seen_ratings: float32 [ratings], in stars.
        re_ranking: Orders what the vectors recall; nothing where their own order stands.
        k: how many for each user, 1 or more.
        block_scores: how many scores are in memory at once.

    Returns:
        A table of `RECOMMENDATIONS_SCHEMA`.

    Raises:
        ValueError: `k` below 1.
    """
    if k < 1:
        raise ValueError(f"k is {k}: ask for 1 movie or more.")
    k = min(k, len(movie_ids))
    recalled = k if re_ranking is None else max(k, re_ranking.candidates)
    users_at_once = min(USERS_AT_ONCE, max(1, block_scores // max(1, len(movie_ids))))
    seen = _history(seen_offsets, positions_of(seen_movie_ids, movie_ids), seen_ratings)
    movies_by_column = np.ascontiguousarray(movie_vectors.T)

    def scores(start: int, stop: int) -> NDArray[np.float32]:
        return user_vectors[start:stop] @ movies_by_column

    blocks = [RECOMMENDATIONS_SCHEMA.empty_table()]
    for start in range(0, len(user_ids) if k else 0, users_at_once):
        stop = min(start + users_at_once, len(user_ids))
        best, best_scores = recall(scores, seen, len(movie_ids), recalled, start, stop)
        if re_ranking is not None:
            best, best_scores = re_ranking.best(seen.rows(start, stop), best, best_scores, k)
        row, rank = np.nonzero(best >= 0)
        blocks.append(
            pa.table(
                [
                    user_ids[start:stop][row],
                    (rank + 1).astype(np.int32),
                    movie_ids[best[row, rank]],
                    best_scores[row, rank],
                ],
                schema=RECOMMENDATIONS_SCHEMA,
            )
        )
    return pa.concat_tables(blocks).combine_chunks()


def _history(
    offsets: NDArray[np.int64], positions: NDArray[np.int64], ratings: NDArray[np.float32]
) -> History:
    """The ratings of movies that have a position."""
    known = positions >= 0
    before = np.append(0, np.cumsum(known))
    return History(before[offsets], positions[known].astype(np.int32), ratings[known])


def write_recommendations(embeddings: Path, model: Path, k: int, output: Path) -> None:
    """Write everybody's `k` best unseen movies as `recommendations.parquet`.

    Args:
        embeddings: Folder with `movies.parquet`, `users.parquet` and `history.parquet` of a release.
        model: Holds `re_ranker/` where there is one.
        k: how many for each user, 1 or more.
        output: Folder to write to.
    """
    users = pq.read_table(embeddings / "users.parquet", columns=[Columns.USER_ID, Columns.EMBEDDING])
    movies = pq.read_table(embeddings / "movies.parquet", columns=[Columns.MOVIE_ID, Columns.EMBEDDING])
    history = pq.read_table(
        embeddings / "history.parquet", columns=[Columns.USER_ID, Columns.MOVIE_ID, Columns.RATING]
    )
    folder = model / "re_ranker"
    user_ids = users.column(Columns.USER_ID).to_numpy()
    raters = history.column(Columns.USER_ID).to_numpy()
    # Users without a vector have ratings as well, so each user's begin and end are looked up.
    known = np.isin(raters, user_ids)
    offsets = np.searchsorted(raters[known], user_ids, side="left")
    table = recommend_table(
        user_ids=user_ids,
        user_vectors=from_column(users.column(Columns.EMBEDDING)),
        movie_ids=movies.column(Columns.MOVIE_ID).to_numpy(),
        movie_vectors=from_column(movies.column(Columns.EMBEDDING)),
        seen_offsets=np.append(offsets, known.sum()).astype(np.int64),
        seen_movie_ids=history.column(Columns.MOVIE_ID).to_numpy()[known],
        seen_ratings=history.column(Columns.RATING).to_numpy()[known],
        re_ranking=ReRanking.load(folder) if folder.is_dir() else None,
        k=k,
    )
    write_table(table, output / "recommendations.parquet")


def write_table(table: pa.Table, file: Path) -> None:
    """Write a table as Parquet; the file appears whole or not at all.

    Args:
        table: Such as `recommend_all` gives.
        file: Replaced if it is there; its folder is made.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    try:
        pq.write_table(table, beside)
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)
