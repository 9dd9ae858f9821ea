"""Bad input of every kind in docs/data.md: what a person is told, and that nothing half-written stays."""

import gzip
import io
import json
import os
import re
import shutil
import signal
import stat
import struct
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from pipelines.config import PipelineConfig
from recommender.data.schema import infer_schema
from recommender.data.source_report import SourceReport
from recommender.data.sources import ExampleGenConfig, ingest
from recommender.data.validation import ValidationConfig, write_validated_examples
from recommender.errors import DataError, MarqueeError

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs" / "data.md"
NOW = datetime(2020, 1, 1, tzinfo=UTC)

HEADER = "userId,movieId,rating,timestamp\n"
LINES = "1,10,4.5,1000000000\n1,20,3,1000000100\n2,10,5,1000000200\n"
MOVIES = "movieId,title,genres\n10,A (1995),War|Drama\n20,B (1996),Drama\n"
ROWS = [(1, 10, 4.5, 1_000_000_000), (1, 20, 3.0, 1_000_000_100), (2, 10, 5.0, 1_000_000_200)]
OWN_HEADER = "user_id,movie_id,rating,timestamp\n"
LINKS_NOTE = "There is no links.csv: imdb_id and tmdb_id are missing."
NO_MOVIES_NOTE = (
    'There is no table of movies: they are called "Movie <id>", and have no genres and no release years.'
)
RENAME = (
    " Rename its columns, or say in `columns` of example_gen.ratings or example_gen.movies what they are "
    "called."
)
MEND = "Mend or remove what is named here, or fetch the file again if it was cut short."


@dataclass(frozen=True)
class Input:
    """Files, and the section `example_gen` with which they are read."""

    files: Mapping[str, str | bytes | None]
    """By their paths; None for a folder."""
    section: Mapping[str, Any] = field(default_factory=dict)
    path: str = ""
    """What of the files is given; all of them by default."""

    def config(self, folder: Path) -> ExampleGenConfig:
        """Write the files into a folder, and return how to read them."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.mkdir()
            else:
                path.write_bytes(content.encode() if isinstance(content, str) else content)
        section = {"source": "directory", "path": str(folder / self.path), **self.section}
        if "mirrors" in section:
            section |= {"source": "movielens", "path": None, "mirrors": [folder.as_uri()]}
        return ExampleGenConfig.from_mapping(section)


def movielens(
    ratings: str | bytes, movies: str | bytes = MOVIES, files: Mapping[str, str | bytes] | None = None
) -> Input:
    return Input({"ratings.csv": ratings, "movies.csv": movies, **(files or {})})


def more(lines: str) -> Input:
    """Good ratings, and then these lines, the first of which is line 5."""
    return movielens(HEADER + LINES + lines)


def own(ratings: str, **section: Any) -> Input:
    return Input({"ratings.csv": ratings}, {"ratings": section})


def parquet(**columns: Any) -> bytes:
    table = {"user_id": [1], "movie_id": [10], "rating": [4.5], **columns}
    buffer = io.BytesIO()
    pq.write_table(pa.table(table), buffer)
    return buffer.getvalue()


def own_parquet(**columns: Any) -> Input:
    return Input({"ratings.parquet": parquet(**columns)})


def zipped(change: Callable[[bytearray], None] = lambda _: None, *more: tuple[zipfile.ZipInfo, str]) -> Input:
    """A good archive, further entries, and what is then changed in its bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("ml/ratings.csv", HEADER + LINES)
        archive.writestr("ml/movies.csv", MOVIES)
        for entry, content in more:
            archive.writestr(entry, content)
    packed = bytearray(buffer.getvalue())
    change(packed)
    return Input({"ml.zip": bytes(packed)}, path="ml.zip")


def each_entry(packed: bytearray, offset: int, kind: str, value: int) -> None:
    """Write a number into the central directory's record of each entry."""
    for found in re.finditer(re.escape(b"PK\x01\x02"), bytes(packed)):
        struct.pack_into(kind, packed, found.start() + offset, value)


def cut_in_half(packed: bytearray) -> None:
    del packed[len(packed) // 2 :]


def link() -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("ml/links.csv")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


def at_line(number: int, told: str, file: str = "ratings.csv", called: str = "line") -> str:
    return f"IN/{file}: 1 {called} cannot be used.\n  {called} {number}, {told}\n{MEND}"


NOT_AN_ID = "is not a whole number from 0 to 2^63-1"
TEXT_ID = f"{NOT_AN_ID}: ids that are text have to be numbered first"
UNQUOTED = ". A field with a double quote in it must stand in double quotes, with the inner quote doubled."
TWO_SETS = {"u.data": "1\t10\t4\t1000000000\n", "u.item": "1|A|||0\n"}
NO_TEXT = "IN/ratings.csv is no text: its first line has zero bytes. Unpack it, or save it as UTF-8."
HTML = "<!DOCTYPE html>\n<title>Sign in</title>\n"
SPRING = "IN/ratings.csv: most timestamps are from the first months of 1970 if they are in "

REFUSED: dict[str, tuple[Input, str]] = {
    # Encodings.
    "UTF-16 text": (
        movielens((HEADER + LINES).encode("utf-16")),
        "IN/ratings.csv is UTF-16 text. Save it as UTF-8 and try again.",
    ),
    "UTF-16 text without a byte order mark": (movielens((HEADER + LINES).encode("utf-16-le")), NO_TEXT),
    "a packed file called `.csv`": (movielens(gzip.compress((HEADER + LINES).encode())), NO_TEXT),
    "zero bytes at the end, as after a crash": (
        movielens((HEADER + LINES).encode() + bytes(6)),
        at_line(5, rf"whole line: '{chr(92)}x00…' has 1 fields, not 4 separated by ','"),
    ),
    # Separators and quotes.
    "another separator in a MovieLens file": (
        movielens((HEADER + LINES).replace(",", ";")),
        "IN/ratings.csv, line 1: the header lacks userId, movieId, rating, timestamp; it has "
        f"'userId;movieId;rating;timestamp'.{RENAME}",
    ),
    "a decimal comma": (
        own((OWN_HEADER + LINES).replace(",", ";").replace("4.5", "4,5")),
        at_line(2, "rating: '4,5' has a decimal comma: write a point instead"),
    ),
    "a quote that is never closed": (
        more('3,10,"4,1000000300\n4,10,4,1000000300\n'),
        f"IN/ratings.csv, line 5: unexpected end of data{UNQUOTED}",
    ),
    "a comma in a title without quotes": (
        movielens(HEADER + LINES, f"{MOVIES}30,Good, Bad, Ugly,War\n"),
        at_line(
            4,
            "whole line: '30,Good, Bad, Ugly,War' has 5 fields, not 3 separated by ','",
            "movies.csv",
        ),
    ),
    # Numbers.
    "NaN": (more("3,10,NaN,1000000300\n"), at_line(5, "rating: 'NaN' is not a finite number")),
    "infinity": (more("3,10,-inf,1000000300\n"), at_line(5, "rating: '-inf' is not a finite number")),
    "a missing value": (more("3,10,,1000000300\n"), at_line(5, "rating: '' is missing")),
    "text where a number belongs": (
        more("3,10,four,1000000300\n"),
        at_line(5, "rating: 'four' is not a finite number"),
    ),
    "an id with a fraction": (more("3.5,10,4,1000000300\n"), at_line(5, f"userId: '3.5' {NOT_AN_ID}")),
    "a negative id": (more("3,-10,4,1000000300\n"), at_line(5, f"movieId: '-10' {NOT_AN_ID}")),
    "an id beyond 64 bits": (more(f"{2**63},10,4,1\n"), at_line(5, f"userId: '{2**63}' {NOT_AN_ID}")),
    "an id that is text": (more("anna,10,4,1000000300\n"), at_line(5, f"userId: 'anna' {TEXT_ID}")),
    # Times.
    "13-digit times, which are milliseconds": (
        own(OWN_HEADER + LINES.replace(",1000", ",1000000")),
        "IN/ratings.csv: most timestamps are as large as 1000000000200, which in seconds is tens of "
        "thousands of years ahead. Set example_gen.ratings.timestamp_unit to ms.",
    ),
    "10-digit times where milliseconds are set": (
        own(OWN_HEADER + LINES, timestamp_unit="ms"),
        f"{SPRING}ms. Set example_gen.ratings.timestamp_unit to s.",
    ),
    "dates where seconds are set": (
        own(f"{OWN_HEADER}1,10,4,2001-09-09T01:46:40Z\n"),
        at_line(
            2,
            "timestamp: '2001-09-09T01:46:40Z' is a date: set example_gen.ratings.timestamp_unit to iso",
        ),
    ),
    # Headers and fields.
    "a column that comes twice": (
        movielens("userId,movieId,rating,rating,timestamp\n1,10,4,4,1000000000\n"),
        "IN/ratings.csv, line 1: the header has 'rating' twice. Rename or remove one of them.",
    ),
    "the header again further down": (
        more(HEADER + "3,10,4,1000000300\n"),
        at_line(5, f"userId: 'userId' {TEXT_ID}"),
    ),
    "a missing column": (
        movielens("userId,movieId,stars,timestamp\n1,10,4,1000000000\n"),
        "IN/ratings.csv, line 1: the header lacks rating; it has 'userId, movieId, stars, timestamp'."
        f"{RENAME}",
    ),
    "a column by another name": (
        own("user,movieId,rating\n1,10,4\n"),
        "IN/ratings.csv, line 1: the header lacks user_id, movie_id; it has 'user, movieId, rating'. "
        f"Is 'user', 'movieId' meant?{RENAME}",
    ),
    "no header at all": (
        movielens(LINES),
        "IN/ratings.csv, line 1: '1, 10, 4.5, 1000000000' is no header. Put a line above it that names its "
        "columns, such as userId,movieId,rating,timestamp.",
    ),
    "too few fields": (
        more("3,10,4\n"),
        at_line(5, "whole line: '3,10,4' has 3 fields, not 4 separated by ','"),
    ),
    "too many fields": (
        more("3,10,4,1000000300,x\n"),
        at_line(5, "whole line: '3,10,4,1000000300,x' has 5 fields, not 4 separated by ','"),
    ),
    "a file cut short in the middle of a line": (
        more("3,1"),
        at_line(5, "whole line: '3,1' has 2 fields, not 4 separated by ','"),
    ),
    # Files and folders.
    "an empty file": (movielens(""), "IN/ratings.csv is empty. Copy or unpack it again."),
    "a header and no ratings": (
        movielens(HEADER),
        "IN/ratings.csv holds no ratings, only its header or blank lines. Copy or unpack it again.",
    ),
    "an HTML page instead of a csv file": (
        movielens(HTML),
        "IN/ratings.csv, line 1: the header lacks userId, movieId, rating, timestamp; it has "
        f"'<!DOCTYPE html>'.{RENAME}",
    ),
    "a folder where a file should be": (
        Input({"ratings.csv": None, "movies.csv": MOVIES}),
        "IN/ratings.csv is a folder where a file should be. Put the file itself there.",
    ),
    "a file where a folder should be": (
        Input({"notes.txt": "hello"}, path="notes.txt"),
        "IN/notes.txt is not a zip archive, or is damaged or cut short: File is not a zip file. Copy or "
        "download it again.",
    ),
    "a path that is not there": (
        Input({"ratings.csv": ""}, path="elsewhere"),
        "IN/elsewhere is not there. Set example_gen.path to a folder or a .zip with ratings and movies.",
    ),
    "a folder without ratings": (
        Input({"notes.txt": "hello"}),
        "No ratings in IN: u.data or ratings.dat or ratings.csv or ml-100k.inter is expected there or in a "
        "folder right below it.",
    ),
    "two data sets in one folder": (
        movielens(HEADER + LINES, files=TWO_SETS),
        "More than one data set in IN: IN/u.data, IN/ratings.csv. Give the folder of one of them.",
    ),
    "no file of movies beside MovieLens ratings": (
        Input({"ratings.csv": HEADER + LINES}),
        "IN/movies.csv is missing: ratings.csv comes with the movies it rates. Put it there.",
    ),
    "a movie listed twice": (
        movielens(HEADER + LINES, f"{MOVIES}10,Another (1997),War\n"),
        at_line(4, "movieId: '10' comes a second time", "movies.csv"),
    ),
    # Archives.
    "an archive cut short": (
        zipped(cut_in_half),
        "IN/ml.zip is not a zip archive, or is damaged or cut short: File is not a zip file. Copy or "
        "download it again.",
    ),
    "an archive that leads out of its folder": (
        zipped(lambda _: None, (zipfile.ZipInfo("../evil.csv"), "x")),
        "IN/ml.zip is refused: '../evil.csv' would be written outside of the folder.",
    ),
    "an archive with a link": (
        zipped(lambda _: None, (link(), "/etc/passwd")),
        "IN/ml.zip is refused: 'ml/links.csv' is a link.",
    ),
    "an archive that swells": (
        zipped(lambda packed: each_entry(packed, 24, "<I", 3 * 2**30)),
        "IN/ml.zip is refused: it unpacks to 6,442,450,944 bytes, at most 4,294,967,296 are allowed. If you "
        "trust it, unpack it and give the folder.",
    ),
    "an encrypted archive": (
        zipped(lambda packed: each_entry(packed, 8, "<H", 1)),
        "IN/ml.zip is refused: 'ml/ratings.csv' is encrypted. Unpack it and give the folder.",
    ),
    "an HTML page or another file instead of the archive": (
        Input({"ml-latest-small.zip": HTML}, {"dataset": "latest-small", "mirrors": []}),
        "MovieLens Latest Small could not be fetched from anywhere:\n  …/ml-latest-small.zip is not the file "
        "that was asked for: expected 978,202 bytes, there are 39. Try another mirror: this one has another "
        "version, or an error page.\nCheck the connection, set a proxy (HTTPS_PROXY) or name another mirror. "
        "Or fetch https://files.grouplens.org/datasets/movielens/ml-latest-small.zip by hand and use it with "
        "--set example_gen.source=directory --set example_gen.path=FOLDER_OR_ZIP.",
    ),
    # Parquet.
    "a Parquet column of the wrong type": (
        own_parquet(user_id=[True]),
        "IN/ratings.parquet: column 'user_id' has the type bool, but should hold numbers or text. Name "
        "another column, or convert it.",
    ),
    "NaN in Parquet": (
        own_parquet(rating=[float("nan")]),
        at_line(1, "rating: 'nan' is not a finite number", "ratings.parquet", "row"),
    ),
    "a Parquet file cut short": (
        Input({"ratings.parquet": parquet()[:-20]}),
        "IN/ratings.parquet cannot be read as Parquet: …. Write or copy it again.",
    ),
    "a Parquet file damaged in the middle": (
        Input({"ratings.parquet": parquet()[:4] + bytes(60) + parquet()[64:]}),
        "IN/ratings.parquet cannot be read: …",
    ),
}
"""Ends with an error; `IN` is the folder, and `…` whatever a library adds."""

READ: dict[str, tuple[Input, list[tuple[Any, ...]], tuple[str, ...]]] = {
    "a byte order mark": (movielens((HEADER + LINES).encode("utf-8-sig")), ROWS, ()),
    "Latin-1 instead of UTF-8": (
        movielens(HEADER + LINES, MOVIES.replace("A (", "Caché (").encode("latin-1")),
        ROWS,
        (),
    ),
    "CRLF line ends": (movielens((HEADER + LINES).replace("\n", "\r\n")), ROWS, ()),
    "mixed line ends, and none at the end": (
        movielens(HEADER.replace("\n", "\r\n") + LINES.removesuffix("\n")),
        ROWS,
        (),
    ),
    "blank lines": (movielens(f"{HEADER}\n{LINES}\n  \n"), ROWS, ()),
    "semicolons or tabs in files of your own": (
        Input(
            {
                "ratings.csv": (OWN_HEADER + LINES).replace(",", ";"),
                "movies.csv": "movie_id\ttitle\tgenres\n10\tA (1995)\tWar\n20\tB\t\n",
            }
        ),
        ROWS,
        (),
    ),
    "numbers in quotes": (movielens(re.sub(r"([\w.]+)", r'"\1"', HEADER + LINES)), ROWS, ()),
    "separators, quotes and line ends within quotes": (
        own(
            "note,user_id,movie_id,rating,timestamp\n"
            + "".join(f'"a, ""b""\nc",{line}\n' for line in LINES.splitlines())
        ),
        ROWS,
        (NO_MOVIES_NOTE,),
    ),
    "a movie rated twice by one user": (
        more("2,10,2,1000000300\n"),
        [*ROWS[:2], (2, 10, 2.0, 1_000_000_300)],
        ("Dropped 1 earlier rating of a movie that the same user rated again: repeated.parquet has them.",),
    ),
    "a rating of a movie that is not listed": (
        more("3,99,2,1000000300\n"),
        [*ROWS, (3, 99, 2.0, 1_000_000_300)],
        ('Added 1 rated movie that movies.csv lacks, as "Movie <id>".',),
    ),
    "no times": (
        own("user_id,movie_id,rating\n1,10,4.5\n"),
        [(1, 10, 4.5, None)],
        (
            "There are no timestamps: splits by time and the features recency_days, rating_trend, "
            "day_of_week and hour_of_day fall away, and rating_velocity is the number of ratings.",
            NO_MOVIES_NOTE,
        ),
    ),
    "no movies in files of your own": (own(OWN_HEADER + LINES), ROWS, (NO_MOVIES_NOTE,)),
    "no genres and no years": (
        Input({"ratings.csv": OWN_HEADER + LINES, "movies.csv": "movie_id,title\n10,A\n20,B\n"}),
        ROWS,
        ("movies.csv has no genres: genre vectors are empty.", "movies.csv has no release years."),
    ),
}
"""Is read; all notes but that on links.csv."""

MANY = "".join(
    f"{user},{movie},{(user + movie) % 10 / 2 + 0.5},{1_000_000_000 + 100 * movie}\n"
    for user in range(1, 61)
    for movie in range(10, 50)
)
"""So many that one bad rating is fewer than one in a thousand."""
MANY_MOVIES = "movieId,title,genres\n" + "".join(f"{n},Movie {n} (1995),War\n" for n in range(10, 50))
SCALE = "widen rating_scale in the schema."
UNITS = "Timestamps are Unix seconds: "


def many(line: str) -> Input:
    """2,400 good ratings, and then this as line 2402."""
    return movielens(HEADER + MANY + line, MANY_MOVIES)


def stopped(column: str, problem: str, row: str, remedy: str) -> str:
    return (
        f"Kinds of error in the examples: 1\n- ratings.parquet, {column}: 1 ratings {problem}, such as "
        f"ratings.csv, line 2402: {row}. {remedy}\nOr set validation.quarantine=true, which goes on without "
        f"bad rows as long as they are few.\n…/anomalies.html has the first rows of each kind."
    )


TOO_OLD = (
    f"{UNITS}a count of days or a missing value is no timestamp. If these are true, lower timestamps.min in "
    "the schema."
)
STOPPED: dict[str, tuple[Input, str]] = {
    "a rating off the scale": (
        many("99,10,55,1000000300\n"),
        stopped(
            "rating",
            "outside 0.5 to 5",
            "user_id 99, movie_id 10, rating 55.0, timestamp 1000000300",
            f"Remove or convert these ratings at the source, or {SCALE}",
        ),
    ),
    "a rating between the steps of the scale": (
        many("99,10,3.7,1000000300\n"),
        stopped(
            "rating",
            "that are not 0.5 plus multiples of 0.5",
            "user_id 99, movie_id 10, rating 3.7…, timestamp 1000000300",
            "Round these ratings at the source, or change rating_scale.step in the schema.",
        ),
    ),
    "a time in the future": (
        many("99,10,4,4102444800\n"),
        stopped(
            "timestamp",
            "from after 2020-01-02",
            "user_id 99, movie_id 10, rating 4.0, timestamp 4102444800",
            f"{UNITS}divide milliseconds by 1000.",
        ),
    ),
    "milliseconds among seconds": (
        many("99,10,4,1000000300000\n"),
        stopped(
            "timestamp",
            "from after 2020-01-02",
            "user_id 99, movie_id 10, rating 4.0, timestamp 1000000300000",
            f"{UNITS}divide milliseconds by 1000.",
        ),
    ),
    "a time before 1995": (
        many("99,10,4,700000000\n"),
        stopped(
            "timestamp",
            "from before 1995-01-01",
            "user_id 99, movie_id 10, rating 4.0, timestamp 700000000",
            TOO_OLD,
        ),
    ),
    "a time before 1970": (
        many("99,10,4,-5\n"),
        stopped(
            "timestamp",
            "from before 1995-01-01",
            "user_id 99, movie_id 10, rating 4.0, timestamp -5",
            TOO_OLD,
        ),
    ),
    "a file cut short in the middle of its last time": (
        many("99,10,4,10000"),
        stopped(
            "timestamp",
            "from before 1995-01-01",
            "user_id 99, movie_id 10, rating 4.0, timestamp 10000",
            TOO_OLD,
        ),
    ),
}
"""Is read, and then stopped by the validator."""

WARNED: dict[str, tuple[Input, str]] = {
    "more ratings in an hour than a human gives": (
        movielens(HEADER + "".join(f"1,{movie},4,1000000000\n" for movie in range(1001))),
        "1 users with more than 1,000 ratings in an hour. They may be programs or imports: remove them at "
        "the source if they are.",
    ),
    "a movie without a genre": (
        movielens(HEADER + LINES, f"{MOVIES}30,C (1997),(no genres listed)\n"),
        "1 movies without a genre. Their genre vectors are zero; nothing else suffers.",
    ),
}
"""Is read, and the validator warns."""

APART = {
    "no permission to read": "test_bad_input.py::test_no_permission_is_told_and_nothing_stays",
    "no permission to write": "test_bad_input.py::test_no_permission_is_told_and_nothing_stays",
    "a full disk": "test_bad_input.py::test_a_full_disk_is_told_and_nothing_half_written_stays",
    "a run killed while it writes": (
        "test_bad_input.py::test_after_a_killed_run_the_next_ends_as_if_nothing_had_happened"
    ),
    "a download that is killed": "fetching/test_download.py::test_a_killed_download_is_gone_on_with",
    "an archive with another checksum": (
        "fetching/test_download.py::test_another_file_under_that_name_is_refused_and_removed"
    ),
    "bad rows of several kinds, with quarantine": (
        "test_bad_input.py::test_quarantine_sorts_out_bad_rows_of_several_kinds_and_counts_them"
    ),
    "more bad rows than may be quarantined": (
        "checks/test_quarantine.py::test_beyond_the_limit_the_run_stops_and_says_share_and_limit"
    ),
}
"""Kinds that need more than files: the file and the name of their test."""


def documented() -> dict[str, str]:
    """From each kind in the table of the documentation to what it says that a person sees."""
    table = DOCS.read_text(encoding="utf-8").partition("## Bad input")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("|")][2:]
    kinds = [row[0] for row in rows]
    assert len(kinds) == len(set(kinds))
    return dict(rows)


def assert_documented(kind: str, told: str) -> None:
    """What the documentation quotes must be there."""
    for quoted in re.findall(r"`([^`]+)`", documented()[kind]):
        assert quoted in told


def matches(told: str, expected: str) -> bool:
    return re.fullmatch(re.escape(expected).replace("…", ".*"), told, re.DOTALL) is not None


def left_in(folder: Path) -> dict[str, bytes]:
    """Everything under a folder that is a file, and what is in it; folders are empty."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def outputs(tmp_path) -> Path:
    (tmp_path / "outputs").mkdir()
    return tmp_path / "outputs"


def test_the_documentation_lists_the_kinds_that_are_tested():
    assert set(documented()) == {*REFUSED, *READ, *STOPPED, *WARNED, *APART}


@pytest.mark.parametrize("place", sorted(set(APART.values())))
def test_the_tests_named_for_other_kinds_are_there(place):
    file, _, name = place.partition("::")
    (path,) = (ROOT / "tests").rglob(file)
    assert f"\ndef {name}(" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_read_is_told_and_leaves_everything_as_it_was(kind, tmp_path, outputs):
    bad, expected = REFUSED[kind]
    config = bad.config(tmp_path / "in")
    with pytest.raises(MarqueeError) as caught:
        ingest(config, outputs / "examples", tmp_path / "downloads")
    told = str(caught.value)
    assert matches(told, expected.replace("IN", str(tmp_path / "in"))), told
    assert_documented(kind, told)
    assert left_in(outputs) == {}

    ingest(movielens(HEADER + LINES).config(tmp_path / "good"), outputs / "examples", tmp_path / "downloads")
    before = left_in(outputs)
    with pytest.raises(MarqueeError):
        ingest(config, outputs / "examples", tmp_path / "downloads")
    assert left_in(outputs) == before


@pytest.mark.parametrize("kind", READ)
def test_what_can_be_read_is_read_and_what_was_done_with_it_is_noted(kind, tmp_path, outputs):
    odd, rows, notes = READ[kind]
    report = ingest(odd.config(tmp_path / "in"), outputs / "examples", tmp_path / "downloads")
    columns = ["user_id", "movie_id", "rating", "timestamp"]
    read = pq.read_table(outputs / "examples/ratings.parquet", columns=columns).to_pylist()
    assert [tuple(row.values()) for row in read] == rows
    assert tuple(note for note in report.notes if note != LINKS_NOTE) == notes
    assert_documented(kind, "\n".join(notes))
    if kind == "Latin-1 instead of UTF-8":
        titles = pq.read_table(outputs / "examples/movies.parquet")["title"].to_pylist()
        assert titles == ["Caché (1995)", "B (1996)"]


def validate(outputs: Path, **config: Any) -> Any:
    return write_validated_examples(
        outputs / "examples",
        infer_schema(outputs / "examples"),
        outputs / "anomalies",
        outputs / "validated",
        config=ValidationConfig(**config),
        now=NOW,
    )


@pytest.mark.parametrize("kind", STOPPED)
def test_what_cannot_be_true_is_told_by_the_validator_which_passes_nothing_on(kind, tmp_path, outputs):
    bad, expected = STOPPED[kind]
    ingest(bad.config(tmp_path / "in"), outputs / "examples", tmp_path / "downloads")
    with pytest.raises(DataError) as caught:
        validate(outputs)
    assert matches(str(caught.value), expected), str(caught.value)
    assert_documented(kind, str(caught.value))
    assert sorted(path.name for path in outputs.iterdir()) == ["anomalies", "examples"]


@pytest.mark.parametrize("kind", WARNED)
def test_what_may_be_true_is_a_warning(kind, tmp_path, outputs):
    odd, expected = WARNED[kind]
    ingest(odd.config(tmp_path / "in"), outputs / "examples", tmp_path / "downloads")
    found = validate(outputs)
    told = [f"{anomaly.message}. {anomaly.remedy}" for anomaly in found.warnings]
    assert expected in told
    assert not found.errors
    assert_documented(kind, expected)
    assert sorted(path.name for path in outputs.iterdir()) == ["anomalies", "examples", "validated"]


MIXED = (
    "anna,10,4,1000000300\n"  # line 2402
    "98,10,NaN,1000000300\n"
    "98,11\n"
    "98,12,55,1000000300\n"
    "98,13,3.7,5\n"
    "98,14,4,4102444800\n"
    "98,15,4,1000000300\n"
)


def test_quarantine_sorts_out_bad_rows_of_several_kinds_and_counts_them(tmp_path, outputs):
    config = many(MIXED).config(tmp_path / "in")
    ingest(config, outputs / "examples", tmp_path / "downloads", keep_unreadable=True)
    found = validate(outputs, quarantine=True, max_quarantined_share=0.01)
    assert found.quarantine.n_rows == 6
    assert found.quarantine.n_by_reason == {
        "rating_off_step": 1,
        "rating_out_of_scale": 1,
        "timestamp_in_future": 1,
        "timestamp_too_old": 1,
        "unreadable": 3,
    }
    assert found.quarantine.share == 6 / 2407
    rows = pq.read_table(outputs / "anomalies/quarantine.parquet").to_pylist()
    assert {row["file"] for row in rows} == {"ratings.csv"}
    assert [(row["line"], sorted(row["reasons"]), row["field"], row["value"]) for row in rows] == [
        (2402, ["unreadable"], "userId", "anna"),
        (2403, ["unreadable"], "rating", "NaN"),
        (2404, ["unreadable"], "whole line", "98,11"),
        (2405, ["rating_out_of_scale"], None, None),
        (2406, ["rating_off_step", "timestamp_too_old"], None, None),
        (2407, ["timestamp_in_future"], None, None),
    ]
    report = SourceReport.read(outputs / "validated")
    assert report.n_ratings == pq.read_metadata(outputs / "validated/ratings.parquet").num_rows == 2401
    expected = (
        "Quarantined 6 rows (0.249%): rating_off_step 1, rating_out_of_scale 1, timestamp_in_future 1, "
        "timestamp_too_old 1, unreadable 3."
    )
    assert report.notes[-1] == expected
    assert_documented("bad rows of several kinds, with quarantine", expected)


# What needs a process of its own.

STEPS = """
import json, logging, os, signal, subprocess, sys
from datetime import UTC, datetime
from pathlib import Path
from recommender.data.schema import infer_schema
from recommender.data.sources import ExampleGenConfig, ingest
from recommender.data.validation import write_validated_examples
from recommender.errors import MarqueeError
from recommender.features.transform import TransformConfig, transform

settings, root = ExampleGenConfig.model_validate_json(sys.argv[1]), Path(sys.argv[2])
deadly, room = sys.argv[3:]

class Killer(logging.Handler):
    def emit(self, record):
        if deadly and record.getMessage().startswith(deadly):
            os.kill(os.getpid(), signal.SIGKILL)

logging.basicConfig(level=logging.INFO, handlers=[Killer()])
if room:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room}k", "tmpfs", root], check=True)
try:
    ingest(settings, root / "examples", root / "downloads")
    schema = infer_schema(root / "examples")
    now = datetime(2020, 1, 1, tzinfo=UTC)
    write_validated_examples(root / "examples", schema, root / "anomalies", root / "validated", now=now)
    transform(root / "validated", TransformConfig(), 7, root / "transformed")
except MarqueeError as error:
    print(f"error: {error}", file=sys.stderr)
finally:
    print(json.dumps(sorted(os.listdir(root))))
"""


def run_steps(
    config: ExampleGenConfig, outputs: Path, *before: str, deadly: str = "", room: str = ""
) -> subprocess.CompletedProcess[str]:
    """The steps up to Transform, in a process that can be killed, and that has so many KiB of room."""
    command = [*before, sys.executable, "-c", STEPS, config.model_dump_json(), str(outputs), deadly, room]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def without_rights_of_root() -> list[str]:
    """What to put before a command, so that permissions count for it."""
    if os.geteuid():
        return []
    command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if shutil.which("setpriv") is None or subprocess.run([*command, "true"], check=False).returncode:
        pytest.skip("permissions do not count for root, and setpriv cannot change that")
    return command


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (
            "no permission to read",
            "error: IN/ratings.csv cannot be read: Permission denied. Check that it exists and may be read.",
        ),
        (
            "no permission to write",
            "error: OUT/…cannot be written: Permission denied. Check that the folder may be written to and "
            "that there is room, or name another.",
        ),
    ],
)
def test_no_permission_is_told_and_nothing_stays(kind, told, tmp_path, outputs):
    config = movielens(HEADER + LINES).config(tmp_path / "in")
    locked = outputs if kind == "no permission to write" else tmp_path / "in/ratings.csv"
    locked.chmod(0o500 if locked.is_dir() else 0)
    ended = run_steps(config, outputs, *without_rights_of_root())
    locked.chmod(0o700)
    expected = told.replace("IN", str(tmp_path / "in")).replace("OUT", str(outputs))
    assert matches(ended.stderr.strip(), expected), ended.stderr
    assert_documented(kind, ended.stderr)
    assert left_in(outputs) == {}


@pytest.mark.parametrize(
    ("kibibytes", "told", "finished"),
    [
        ("12", "error: The tables for OUT/examples cannot be written: …No space left on device…room…", []),
        ("52", "…No space left on device…", ["anomalies", "examples", "validated"]),
    ],
)
def test_a_full_disk_is_told_and_nothing_half_written_stays(kibibytes, told, finished, tmp_path, outputs):
    own_mounts = ["unshare", "--mount"]
    mount = [*own_mounts, "mount", "-t", "tmpfs", "tmpfs", str(outputs)]
    if shutil.which("unshare") is None or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no file system of a chosen size can be made here")
    ended = run_steps(many("").config(tmp_path / "in"), outputs, *own_mounts, room=kibibytes)
    assert matches(ended.stderr, told.replace("OUT", str(outputs))), ended.stderr
    assert_documented("a full disk", ended.stderr)
    assert json.loads(ended.stdout) == finished


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[ExampleGenConfig, dict[str, bytes]]:
    """An input, and what the steps leave when nothing goes wrong."""
    folder = tmp_path_factory.mktemp("undisturbed")
    config = many("").config(folder / "in")
    ended = run_steps(config, folder / "out")
    assert ended.returncode == 0, ended.stderr
    return config, left_in(folder / "out")


@pytest.mark.parametrize("deadly", ["Sorting ratings", "Kinds of error: 0", "user features"])
def test_after_a_killed_run_the_next_ends_as_if_nothing_had_happened(deadly, undisturbed, outputs):
    config, expected = undisturbed
    killed = run_steps(config, outputs, deadly=deadly)
    assert killed.returncode == -signal.SIGKILL
    assert visible(outputs).items() <= expected.items()
    ended = run_steps(config, outputs)
    assert ended.returncode == 0, ended.stderr
    assert visible(outputs) == expected


def visible(folder: Path) -> dict[str, bytes]:
    """What is left but for hidden scratch folders, which nobody reads."""
    return {name: content for name, content in left_in(folder).items() if not name.startswith(".")}


# The documentation.


def test_every_example_in_the_documentation_is_a_configuration():
    examples = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert examples
    for example in examples:
        PipelineConfig.from_mapping(yaml.safe_load(example))
