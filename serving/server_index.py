"""The way to a Qdrant server: bounded in time, and left alone for a while when it fails."""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from recommender.errors import IndexUnavailableError
from recommender.retrieval.movie_filter import MovieFilter
from recommender.retrieval.movie_index import FoundMovies

if TYPE_CHECKING:
    # A service without a server starts without its client, which takes as long to import as all the rest.
    from qdrant_client import QdrantClient

    from recommender.retrieval.qdrant_index import QdrantMovieIndex

_LOG = logging.getLogger("marquee.index")
_FAILURES: Final = 3
_AT_ONCE: Final = 40
"""Questions that the server can be asked at the same time: as many as threads that answer requests."""
_Result = TypeVar("_Result")


class ServerIndex:
    """A `MovieIndex` on a Qdrant server that need not be there yet, or any more.

    It opens the release's index when it is first asked. A question takes at most `seconds`, however slowly
    the answer comes. After three failures in a row the server is left alone for `pause` seconds; then one
    question tries while the others still do without.

    Args:
        client: how to reach the server; closed with the index.
        version: of the release.
        seconds: how long a question may take, in all.
        pause: how long the server is left alone, in seconds.
        clock: gives the time in seconds; for tests.
    """

    def __init__(
        self,
        client: "QdrantClient",
        version: str,
        *,
        seconds: float,
        pause: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._version = version
        self._seconds = seconds
        self._pause = pause
        self._clock = clock
        # The client bounds each piece of an answer alone, and pieces can be many.
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="qdrant")
        self._index: QdrantMovieIndex | None = None
        self._lock = Lock()
        self._failures = 0
        self._try_again = 0.0

    @property
    def available(self) -> bool:
        """Whether the server answered lately."""
        return self._failures < _FAILURES

    def search(
        self,
        vector: NDArray[np.float32],
        limit: int,
        *,
        exclude: Sequence[int] = (),
        filter: MovieFilter | None = None,
        exact: bool = False,
    ) -> FoundMovies:
        """The best movies, best first, lower id first among equals."""
        return self._ask(
            lambda index: index.search(vector, limit, exclude=exclude, filter=filter, exact=exact)
        )

    def search_batch(
        self,
        vectors: NDArray[np.float32],
        limit: int,
        *,
        excludes: Sequence[Sequence[int]] | None = None,
        filter: MovieFilter | None = None,
        exact: bool = False,
    ) -> list[FoundMovies]:
        """What `search` gives for each of many vectors, by one request."""
        return self._ask(
            lambda index: index.search_batch(vectors, limit, excludes=excludes, filter=filter, exact=exact)
        )

    def count(self) -> int:
        """How many movies the index holds."""
        return self._ask(lambda index: index.count())

    def close(self) -> None:
        """Close the connections to the server."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def _ask(self, question: Callable[["QdrantMovieIndex"], _Result]) -> _Result:
        with self._lock:
            if not self.available:
                if self._clock() < self._try_again:
                    raise IndexUnavailableError(
                        "The Qdrant server did not answer lately and is left alone for some seconds."
                    )
                # Nobody else tries before this has come to an end.
                self._try_again = self._clock() + self._seconds + self._pause
        answer = self._threads.submit(self._answer, question)
        try:
            result = answer.result(self._seconds)
        except TimeoutError:
            answer.cancel()
            late = IndexUnavailableError(f"The Qdrant server did not answer within {self._seconds:g} s.")
            self._failed(late)
            raise late from None
        except IndexUnavailableError as error:
            self._failed(error)
            raise
        with self._lock:
            if not self.available:
                _LOG.info("The Qdrant server answers again.")
            self._failures = 0
        return result

    def _answer(self, question: Callable[["QdrantMovieIndex"], _Result]) -> _Result:
        from recommender.retrieval.qdrant_index import QdrantMovieIndex

        if self._index is None:
            self._index = QdrantMovieIndex.open(self._client, self._version)
        return question(self._index)

    def _failed(self, error: IndexUnavailableError) -> None:
        with self._lock:
            self._failures += 1
            if self._failures >= _FAILURES:
                self._try_again = self._clock() + self._pause
            if self._failures == _FAILURES:
                _LOG.warning("%s Doing without, and trying again every %g s.", error, self._pause)
