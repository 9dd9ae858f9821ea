"""Movies on a Qdrant server, one collection a release."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError
from qdrant_client import QdrantClient, models

from recommender.configuration import Configuration
from recommender.errors import IndexUnavailableError
from recommender.retrieval.equal_lengths import searched_for
from recommender.retrieval.movie_filter import GENRES, MOVIE_ID, RATING_COUNT, RELEASE_YEAR, MovieFilter
from recommender.retrieval.movie_index import (
    FoundMovies,
    best_of_each_in_order,
    candidates_looked_at,
    check_batch,
)

ALIAS: Final = "marquee"
"""The collection of the release that the server was brought to last."""
SYNC: Final = "Bring the server to it with `marquee index sync`."
_VERSION: Final = re.compile(r"[A-Za-z0-9-]+")


class CollectionState(Configuration):
    """What a collection says of itself, as its metadata."""

    release: str
    """The release whose movies it holds."""
    search_candidates: int | None = Field(default=None, ge=1)
    """As `HnswConfig.search_candidates`; none searches exactly."""
    whole: bool = False
    """Whether every movie is there and was found: nobody reads a collection before."""


def connect(url: str, *, api_key: str | None = None, timeout_s: int = 2) -> QdrantClient:
    """A client of a server, which is not asked anything yet.

    Args:
        url: such as `http://127.0.0.1:6333`.
        api_key: sent with every request, and never logged.
        timeout_s: how long connecting, sending and each piece of an answer may take, in seconds.

    Raises:
        IndexUnavailableError: the address is none.
    """
    with answering("The address of the Qdrant server is of no use"):
        # Its look at the server's version would be a request, and only warns.
        return QdrantClient(url=url, api_key=api_key, timeout=timeout_s, check_compatibility=False)


def collection_of(version: str, alias: str = ALIAS) -> str:
    """Name of a release's collection.

    Raises:
        ValueError: a version that a collection cannot be named after.
    """
    if not _VERSION.fullmatch(version):
        raise ValueError(f"{version!r} is no release version.")
    return f"{alias}-{version}"


def collection_state(client: QdrantClient, collection: str) -> CollectionState | None:
    """What a collection says of itself, or None where there is none or it was made by somebody else.

    Raises:
        IndexUnavailableError: the server did not answer.
    """
    with answering():
        if not client.collection_exists(collection):
            return None
        metadata = client.get_collection(collection).config.metadata
    try:
        return CollectionState.from_mapping(dict(metadata or {}))
    except (TypeError, ValidationError):
        return None


@contextmanager
def answering(problem: str = "The Qdrant server did not answer") -> Iterator[None]:
    """Turn whatever the client raises into an error of the index.

    Raises:
        IndexUnavailableError: anything went wrong.
    """
    # Exception, because the client raises its own, those of httpx and pydantic, and ValueError.
    try:
        yield
    except Exception as error:
        raise IndexUnavailableError(
            f"{problem}: {str(error) or type(error).__name__}. Check its address, and that it runs."
        ) from error


class QdrantMovieIndex:
    """A `MovieIndex` on one collection of a Qdrant server.

    It keeps to the collection of its release whatever the alias points to, so vectors of users and movies are
    always of one release.

    Args:
        client: closed with the index.
        collection: whole.
        search_candidates: as `HnswConfig.search_candidates`; None searches exactly.
    """

    def __init__(self, client: QdrantClient, collection: str, search_candidates: int | None) -> None:
        self._client = client
        self._collection = collection
        self._search_candidates = search_candidates

    @classmethod
    def open(cls, client: QdrantClient, version: str, *, alias: str = ALIAS) -> Self:
        """Open the index of a release.

        Args:
            client: from `connect`.
            version: of the release.
            alias: what the names of collections begin with.

        Raises:
            IndexUnavailableError: the server did not answer, or has no whole index of the release.
        """
        collection = collection_of(version, alias)
        state = collection_state(client, collection)
        if state is None or not state.whole or state.release != version:
            raise IndexUnavailableError(f"The Qdrant server has no whole index of release {version}. {SYNC}")
        return cls(client, collection, state.search_candidates)

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
        return self.search_batch(vector[np.newaxis], limit, excludes=[exclude], filter=filter, exact=exact)[0]

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
        check_batch(vectors, excludes)
        excluded = excludes or [()] * len(vectors)
        conditions = [_condition(filter, exclude) for exclude in excluded]
        params = [self._params(exact, len(exclude)) for exclude in excluded]

        def ask(asked: int, rows: Sequence[int]) -> list[FoundMovies]:
            return self._ask(
                [self._request(vectors[row], asked, conditions[row], params[row]) for row in rows]
            )

        return best_of_each_in_order(ask, len(vectors), limit)

    def count(self) -> int:
        """How many movies the index holds."""
        with answering():
            return self._client.count(self._collection, exact=True).count

    def close(self) -> None:
        """Close the connections to the server."""
        self._client.close()

    def _params(self, exact: bool, n_excluded: int) -> models.SearchParams:
        if exact or self._search_candidates is None:
            return models.SearchParams(exact=True)
        return models.SearchParams(
            hnsw_ef=candidates_looked_at(self._search_candidates, n_excluded),
            # All links of a movie may lead to movies that do not pass: their links are followed, too.
            acorn=models.AcornSearchParams(enable=True, max_selectivity=1.0),
        )

    def _request(
        self,
        vector: NDArray[np.float32],
        asked: int,
        condition: models.Filter | None,
        params: models.SearchParams,
    ) -> models.QueryRequest:
        return models.QueryRequest(
            query=searched_for(vector),
            limit=asked,
            filter=condition,
            params=params,
            with_payload=False,
        )

    def _ask(self, requests: Sequence[models.QueryRequest]) -> list[FoundMovies]:
        if not requests:
            return []
        with answering():
            answers = self._client.query_batch_points(self._collection, requests)
            return [_scored(answer.points) for answer in answers]


def _scored(points: Sequence[models.ScoredPoint]) -> FoundMovies:
    return FoundMovies.of([int(point.id) for point in points], [point.score for point in points])


def _condition(wanted: MovieFilter | None, exclude: Sequence[int]) -> models.Filter | None:
    """A filter and the excluded movies as the server wants them; None lets every movie pass."""
    wanted = wanted or MovieFilter()
    must: list[Any] = [
        models.FieldCondition(key=GENRES, match=models.MatchValue(value=genre)) for genre in wanted.genres_all
    ]
    if wanted.genres_any:
        must.append(models.FieldCondition(key=GENRES, match=models.MatchAny(any=list(wanted.genres_any))))
    if wanted.year_from is not None or wanted.year_to is not None:
        years = models.Range(gte=wanted.year_from, lte=wanted.year_to)
        must.append(models.FieldCondition(key=RELEASE_YEAR, range=years))
    if wanted.min_ratings > 0:
        must.append(models.FieldCondition(key=RATING_COUNT, range=models.Range(gte=wanted.min_ratings)))
    if len(exclude):
        # By a field, because excluding 1,000 points by their ids takes a search twice as long.
        must.append(
            models.FieldCondition(
                key=MOVIE_ID, match=models.MatchExcept.model_validate({"except": list(exclude)})
            )
        )
    must_not: list[Any] = []
    if wanted.genres_none:
        genres = models.MatchAny(any=list(wanted.genres_none))
        must_not.append(models.FieldCondition(key=GENRES, match=genres))
    return models.Filter(must=must or None, must_not=must_not or None) if must or must_not else None
