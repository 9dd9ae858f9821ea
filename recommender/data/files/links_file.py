"""Reading `links.csv`: where else a movie is known."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recommender.data.files.delimited_rows import DelimitedLayout, FieldError, read_rows, whole_number
from recommender.data.files.row_problems import REFUSED, RowProblem, UnreadableRows

LINKS_LAYOUT: Final = DelimitedLayout(",", ("movieId", "imdbId", "tmdbId"), has_header=True, quoted=True)


@dataclass(frozen=True)
class Links:
    """The numbers of a movie in IMDb (as in the source: seven digits or more, no "tt") and in TMDB."""

    imdb_id: str | None = None
    tmdb_id: int | None = None


def read_links(path: Path, unreadable: UnreadableRows = REFUSED, source_file: int = 0) -> dict[int, Links]:
    """Read the links of every movie in the file, by its id.

    Args:
        path: The file.
        unreadable: What becomes of rows that cannot be read.
        source_file: Position of the file in the report.

    Raises:
        DataError: the file cannot be read, its header is another, or rows in it cannot be read.
    """
    links: dict[int, Links] = {}
    problems: list[RowProblem] = []
    for line, row in read_rows(path, LINKS_LAYOUT, problems):
        try:
            links[whole_number(row, "movieId")] = Links(
                imdb_id=row["imdbId"].strip() or None,
                tmdb_id=whole_number(row, "tmdbId") if row["tmdbId"].strip() else None,
            )
        except FieldError as error:
            problems.append(RowProblem(line, error.field, error.value, error.wrong))
    unreadable.settle_few(path, source_file, problems, len(links) + len(problems))
    return links
