"""A release in memory, and everything made of it once that answers then ask."""

import logging
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from recommender.errors import MarqueeError, ReleaseError
from recommender.explanations.evidence import Explainer
from recommender.release import Release
from recommender.retrieval.movie_index import MovieIndex
from recommender.retrieval.recommend import Recommender
from recommender.retrieval.title_search import TitleSearch

_LOG = logging.getLogger("marquee.serving")
OpenIndex = Callable[[Release], MovieIndex]
"""Opens the index of a release."""


class LoadedRelease:
    """One release with its index and models. Its index is closed once nobody uses it any more.

    Args:
        release: users, movies and what was rated.
        index: its movies, closed with this.

    Attributes:
        release: as given.
        index: as given.
        recommender: recommends from them.
        explainer: says why.
        titles: finds movies by title.

    Raises:
        DataError: a file of the release's models holds something else.
        ReleaseError: a model of the release cannot be run.
    """

    def __init__(self, release: Release, index: MovieIndex) -> None:
        self.release: Final = release
        self.index: Final = index
        self.recommender: Final = Recommender(release, index)
        self.explainer: Final = Explainer(self.recommender)
        self.titles: Final = TitleSearch.of_release(release)
        # The last request that uses it lets go of it, and only then: see `Service`.
        self._end = weakref.finalize(self, index.close)

    @classmethod
    def load(cls, folder: Path, open_index: OpenIndex) -> Self:
        """Verify a release and read it.

        Raises:
            ReleaseError: a file that is missing, altered or does not agree with the manifest.
            IndexUnavailableError: the release's index cannot be opened.
            DataError: a file of the release's models holds something else.
        """
        return cls.of(Release.load(folder), open_index)

    @classmethod
    def of(cls, release: Release, open_index: OpenIndex) -> Self:
        """Open the rest of a release that is in memory.

        Raises:
            IndexUnavailableError: the release's index cannot be opened.
            DataError: a file of the release's models holds something else.
            ReleaseError: a model of the release cannot be run.
        """
        started = time.perf_counter()
        index = open_index(release)
        try:
            loaded = cls(release, index)
        except BaseException as error:
            index.close()
            if isinstance(error, MarqueeError) or not isinstance(error, Exception):
                raise
            # Files that agree with the manifest and yet hold something that nobody thought of.
            raise ReleaseError(
                f"{release.folder} cannot be served: {type(error).__name__}: {error}. "
                "Write the release again with the pipeline, or serve another one."
            ) from error
        counts = release.manifest.counts
        _LOG.info(
            "Release %s is whole: %d users, %d movies, %d ratings, made ready in %.1f s.",
            release.version,
            counts.users,
            counts.movies,
            counts.ratings,
            time.perf_counter() - started,
        )
        return loaded

    def close(self) -> None:
        """Close the index now; once is enough, and again does no harm."""
        self._end()
