"""What a user has rated by now: the release's data, and what the service has collected."""

from dataclasses import dataclass

import numpy as np

from recommender.data.rating_store import Changes, RatingStore
from recommender.release import History, Release, positions_of


@dataclass(frozen=True, slots=True)
class CurrentHistory:
    """What one user has rated by now."""

    history: History
    """Oldest first, each movie once; may have movies that the release does not hold."""
    version: int
    """How often the user has changed it through the service: belongs into the key of what is remembered."""


def current_history(release: Release, store: RatingStore, user_id: int) -> CurrentHistory:
    """What a user has rated in the data of a release and through the service since.

    Of two ratings of a movie the later one counts, of those of the same second the one from the service. What
    the user removed through the service is gone, whenever the release's data says it was rated. The release's
    own arrays where nothing was added.

    Raises:
        RatingStoreError: the store did not answer.
    """
    changes = store.ratings_of(user_id)
    history = release.history_of(user_id)
    return CurrentHistory(with_changes(history, changes), changes.version)


def with_changes(history: History, changes: Changes) -> History:
    """A history after what was rated and removed since, oldest first; itself where nothing was."""
    if not changes.version:
        return history
    places = positions_of(history.movie_ids, changes.movie_ids)
    changed = places >= 0
    changed[changed] = changes.removed[places[changed]] | (
        changes.timestamps[places[changed]] >= history.timestamps[changed]
    )
    kept = ~changed
    added = ~np.isnan(changes.ratings) & ~np.isin(changes.movie_ids, history.movie_ids[kept])
    movie_ids = np.concatenate([history.movie_ids[kept], changes.movie_ids[added]])
    timestamps = np.concatenate([history.timestamps[kept], changes.timestamps[added]])
    ratings = np.concatenate([history.ratings[kept], changes.ratings[added]])
    order = np.lexsort((movie_ids, timestamps))
    return History(movie_ids[order], ratings[order], timestamps[order])
