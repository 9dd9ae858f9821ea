"""The files that make up one data set, found but not yet read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recommender.data.files.movies_files import MoviesLayout
from recommender.data.files.ratings_files import RatingsFile
from recommender.data.files.tags_file import TagsFile
from recommender.data.rating_scale import RatingScale

OWN_FILES: Final = "own files"
"""The name of every layout that is no dialect of MovieLens."""


@dataclass(frozen=True)
class SourceFiles:
    """The files of one data set, and how each is laid out."""

    dialect: str
    """Name of the layout."""
    ratings: tuple[RatingsFile, ...]
    movies: Path | None
    movies_layout: MoviesLayout
    links: Path | None
    tags: TagsFile | None
    scale: RatingScale | None
    """The values that a rating can take; None where only the ratings tell."""

    def all(self) -> list[Path]:
        """Every file that will be read, in the order of the report."""
        tags = self.tags.path if self.tags is not None else None
        others = (path for path in (self.movies, self.links, tags) if path is not None)
        return [*(file.path for file in self.ratings), *others]
