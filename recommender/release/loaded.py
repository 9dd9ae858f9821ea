"""A release that answers."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recommender.data.columns import Columns
from recommender.data.rating_scale import HALF_STARS, RatingScale
from recommender.errors import ReleaseError
from recommender.release.arrays import FewRows, ReleaseArrays
from recommender.release.integrity import verify_release
from recommender.release.live import list_releases, live_version
from recommender.release.manifest import ARRAYS, WRITE_AGAIN, Manifest
from recommender.release.positions import position_of, positions_of
from recommender.release.tables import MOVIES_SCHEMA, USERS_SCHEMA, column_names, numbers, read_columns


@dataclass(frozen=True, slots=True)
class Movie:
    """A movie as a release knows it."""

    movie_id: int
    title: str
    genres: tuple[str, ...]
    release_year: int | None
    rating_count: int
    rating_mean: float | None


@dataclass(frozen=True, slots=True)
class History:
    """What one user has rated, oldest first; all three arrays have one entry a rating."""

    movie_ids: NDArray[np.int64]
    ratings: NDArray[np.float32]
    timestamps: NDArray[np.int64]


class Release:
    """A verified release in memory: read-only, shared by every request.

    Attributes:
        folder: where it was loaded from.
        manifest: what it says of itself.
        movie_ids: int64 [movies], ascending.
        movie_vectors: float32 [movies, dimension].
        titles: one a movie, as in the source.
        movie_rating_counts: int64 [movies].
        user_ids: int64 [users], ascending.
        user_vectors: float32 [users, dimension].
        user_rating_counts: int64 [users].
        raters: int64 [raters], ascending: everybody who rated, also those without a vector.
        highest_rating: the highest rating of all users, 0 where there is none.
        popular_positions: int64 [movies], rows of `movie_ids`, most rated first, lower id first among equals.
        popular_movie_ids: int64 [movies], in the same order.
    """

    def __init__(self, folder: Path, manifest: Manifest, movies: pa.Table, users: pa.Table) -> None:
        """Made by `load`."""
        self.folder = folder
        self.manifest = manifest
        self._arrays = ReleaseArrays.open(folder / ARRAYS, manifest)
        movies_file, users_file = folder / "movies.parquet", folder / "users.parquet"

        self.movie_ids: NDArray[np.int64] = numbers(movies, Columns.MOVIE_ID, movies_file)
        self.movie_vectors = self._arrays.movie_vectors
        self.movie_rating_counts: NDArray[np.int64] = numbers(movies, "rating_count", movies_file)
        self.user_ids: NDArray[np.int64] = numbers(users, Columns.USER_ID, users_file)
        self.user_vectors = self._arrays.user_vectors
        self._user_rows = FewRows(folder / ARRAYS / "user_vectors.npy", self.user_vectors)
        self._timestamps = FewRows(folder / ARRAYS / "timestamps.npy", self._arrays.timestamps)
        self.user_rating_counts: NDArray[np.int64] = numbers(users, "rating_count", users_file)
        for ids, file, rows in (
            (self.movie_ids, movies_file, manifest.counts.movies),
            (self.user_ids, users_file, manifest.counts.users),
        ):
            if len(ids) != rows:
                raise ReleaseError(
                    f"{file} has {len(ids)} rows where the manifest says {rows}. {WRITE_AGAIN}"
                )

        self.titles: list[str] = movies[Columns.TITLE].to_pylist()
        # Many movies share a list of genres.
        distinct: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._genres = [
            distinct.setdefault(genres, genres)
            for genres in map(tuple, pc.fill_null(movies[Columns.GENRES], []).to_pylist())
        ]
        self._years: list[int | None] = movies[Columns.RELEASE_YEAR].to_pylist()
        self._means: list[float | None] = movies["rating_mean"].to_pylist()
        # As lists of strings, those of ML-25M would take four times the memory, and few are asked for.
        self._tags = movies[Columns.TAGS].combine_chunks() if Columns.TAGS in movies.column_names else None

        self.raters = self._arrays.raters
        self.highest_rating = float(self._arrays.rating_values.max(initial=0.0))
        self.popular_positions: NDArray[np.int64] = np.lexsort((self.movie_ids, -self.movie_rating_counts))
        self.popular_movie_ids: NDArray[np.int64] = self.movie_ids[self.popular_positions]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Verify a release, then open it.

        Raises:
            ReleaseError: a file that is missing, altered or does not agree with the manifest.
        """
        return cls.of_verified(folder, verify_release(folder))

    @classmethod
    def of_verified(cls, folder: Path, manifest: Manifest) -> Self:
        """Open a release whose files are known to be those of its manifest.

        Raises:
            ReleaseError: tables that do not agree with the manifest.
        """

        def table(name: str, schema: pa.Schema) -> pa.Table:
            path = folder / name
            absent = {Columns.EMBEDDING} | ({Columns.TAGS} - set(column_names(path)))
            return read_columns(path, schema, [column for column in schema.names if column not in absent])

        release = cls(
            folder, manifest, table("movies.parquet", MOVIES_SCHEMA), table("users.parquet", USERS_SCHEMA)
        )
        pa.default_memory_pool().release_unused()
        return release

    @classmethod
    def open_live(cls, releases: Path) -> Self:
        """Load the release that is live.

        Raises:
            ReleaseError: nothing is live, or the live release is not whole.
        """
        version = live_version(releases)
        if version is None:
            there = list_releases(releases)
            choice = f", or promote one of: {', '.join(there)}" if there else ""
            raise ReleaseError(
                f"No release in {releases.absolute()} is live. Make one with `marquee run`{choice}."
            )
        release = cls.load(releases / version)
        if release.version != version:
            raise ReleaseError(f"{releases / version} holds another release, {release.version}. Rename it.")
        return release

    @property
    def version(self) -> str:
        """The release's name."""
        return self.manifest.version

    @property
    def index_folder(self) -> Path:
        """Where the vector index lies."""
        return self.folder / "index"

    @cached_property
    def rating_scale(self) -> RatingScale:
        """The values that a rating can take: what the source says, or what the ratings show."""
        source = self.manifest.data.get("source")
        declared = source.get("rating_scale") if isinstance(source, dict) else None
        if declared is not None:
            return RatingScale.from_mapping(declared)
        ratings = self._arrays.rating_values
        found = RatingScale(min=float(ratings.min(initial=HALF_STARS.max)), max=self.highest_rating)
        in_half_stars = 2 * ratings
        fits = HALF_STARS.min <= found.min and found.max <= HALF_STARS.max
        return HALF_STARS if fits and np.array_equal(in_half_stars, np.rint(in_half_stars)) else found

    @property
    def online_folder(self) -> Path | None:
        """Where the models lie that answer for any history; None where the release has none."""
        return self._optional("online")

    @property
    def re_ranker_folder(self) -> Path | None:
        """Where the re-ranker lies; None where the release has none."""
        return self._optional("re_ranker")

    def _optional(self, part: str) -> Path | None:
        # By the manifest, which says what was verified.
        there = any(PurePosixPath(path).parts[0] == part for path in self.manifest.files)
        return self.folder / part if there else None

    def user_position(self, user_id: int) -> int | None:
        """The row of a user in `user_ids` and `user_vectors`, or None for an unknown one."""
        return position_of(self.user_ids, user_id)

    def user_vector(self, position: int) -> NDArray[np.float32]:
        """One row of `user_vectors`, for who asks for few of them: it takes no memory beside."""
        row: NDArray[np.float32] = self._user_rows.between(position, position + 1)[0]
        return row

    def movie_position(self, movie_id: int) -> int | None:
        """The row of a movie in `movie_ids` and `movie_vectors`, or None for an unknown one."""
        return position_of(self.movie_ids, movie_id)

    def movie_positions(self, movie_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of many movies, -1 for each that the release does not know; shapes alike."""
        return positions_of(movie_ids, self.movie_ids)

    def movie(self, movie_id: int) -> Movie:
        """What the release knows of a movie.

        Raises:
            KeyError: a movie that the release does not know.
        """
        position = self.movie_position(movie_id)
        if position is None:
            raise KeyError(movie_id)
        return Movie(
            movie_id=movie_id,
            title=self.titles[position],
            genres=self._genres[position],
            release_year=self._years[position],
            rating_count=int(self.movie_rating_counts[position]),
            rating_mean=self._means[position],
        )

    def tags(self, movie_id: int) -> tuple[str, ...]:
        """What users have called a movie, most given first; empty where the source has no tags.

        Raises:
            KeyError: a movie that the release does not know.
        """
        position = self.movie_position(movie_id)
        if position is None:
            raise KeyError(movie_id)
        return () if self._tags is None else tuple(self._tags[position].as_py() or ())

    @property
    def rating_counts(self) -> NDArray[np.int64]:
        """int64 [raters], how many movies each has rated."""
        return np.diff(self._arrays.offsets)

    def history_of(self, user_id: int) -> History:
        """What a user has rated, oldest first, each movie once; empty for who rated nothing."""
        rater = position_of(self.raters, user_id)
        return self.histories(0, 0) if rater is None else self.histories(rater, rater + 1)

    def positions_rated_by(self, user_id: int) -> NDArray[np.int32]:
        """Rows of the movies of `history_of`, int32 [ratings]."""
        rater = position_of(self.raters, user_id)
        rows = slice(0, 0) if rater is None else self._rows(rater, rater + 1)
        return self._arrays.movies[rows].astype(np.int32)

    def histories(self, start: int, stop: int) -> History:
        """What the raters from `start` to before `stop` have rated, one after the other."""
        arrays, rows = self._arrays, self._rows(start, stop)
        return History(
            self.movie_ids[arrays.movies[rows]],
            arrays.rating_values[arrays.ratings[rows]],
            self._timestamps.between(rows.start, rows.stop).astype(np.int64),
        )

    def _rows(self, start: int, stop: int) -> slice:
        offsets = self._arrays.offsets
        return slice(int(offsets[start]), int(offsets[stop]))
