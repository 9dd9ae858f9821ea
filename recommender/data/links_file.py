"""Reading `links.csv`: where else a movie is known."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recommender.data.delimited_rows import DelimitedLayout, FieldError, read_rows, whole_number
from recommender.data.row_problems import RowProblem, RowProblems

LINKS_LAYOUT: Final = DelimitedLayout(",", ("movieId", "imdbId", "tmdbId"), has_header=True, quoted=True)


@dataclass(frozen=True)
class Links:
    """The numbers of a movie in IMDb (as in the source: seven digits or more, no "tt") and in TMDB."""

    imdb_id: str | None = None
    tmdb_id: int | None = None


def read_links(path: Path) -> dict[int, Links]:
    """Read the links of every movie in the file, by its id.

    Raises:
        DataError: the file cannot be read, its header is another, or it has lines that don't fit.
    """
    links: dict[int, Links] = {}
    problems = RowProblems(path)
    for line, row in read_rows(path, LINKS_LAYOUT, problems):
        try:
            links[whole_number(row, "movieId")] = Links(
                imdb_id=row["imdbId"].strip() or None,
                tmdb_id=whole_number(row, "tmdbId") if row["tmdbId"].strip() else None,
            )
        except FieldError as error:
            problems.add(RowProblem(line, error.field, error.value, error.wrong))
    problems.raise_if_any()
    return links
