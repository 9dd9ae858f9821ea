import csv
import tempfile
from collections import defaultdict
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.data.files.dialects import find_source_files
from recommender.data.files.row_problems import UnreadableRows
from recommender.data.files.tags_file import MOST_TAGS, TagsFile, read_tags
from recommender.errors import DataError

HEADER = "userId,movieId,tag,timestamp\n"
OTHERS = {
    "csv": {
        "ratings.csv": "userId,movieId,rating,timestamp\n1,1,4,7\n",
        "movies.csv": "movieId,title,genres\n",
    },
    "dat": {"ratings.dat": "1::1::4::7\n", "movies.dat": "1::Heat (1995)::Crime\n"},
}


def tags_in(
    folder: Path, text: str, dialect: str = "csv", unreadable: UnreadableRows | None = None
) -> dict[int, list[str]]:
    for name, content in OTHERS[dialect].items():
        (folder / name).write_text(content)
    (folder / f"tags.{dialect}").write_text(text, encoding="utf-8", newline="")
    file = find_source_files(folder).tags
    assert isinstance(file, TagsFile)
    with tempfile.TemporaryDirectory() as scratch:
        return read_tags(file, Path(scratch), unreadable or UnreadableRows(), source_file=2)


def test_the_tags_that_most_users_gave_come_first(tmp_path: Path) -> None:
    lines = [
        "1,7,Dark,1", "2,7,dark,1", "2,7, DARK ,2", "2,7,slow,1", "3,7,slow,1", "1,7,slow,1",
        "1,9,war,1", '1,9,"art, of a kind",1', "4,7,beautiful,1", '5,9,"say ""no""",1', "5,9,,1",
    ]  # fmt: skip
    # Slow has three users, dark two: the second gave it twice. War is one of three that one user gave.
    assert tags_in(tmp_path, HEADER + "\n".join(lines)) == {
        7: ["slow", "dark", "beautiful"],
        9: ["art, of a kind", 'say "no"', "war"],
    }


def test_the_layout_of_movielens_10m_is_read_too(tmp_path: Path) -> None:
    assert tags_in(tmp_path, "15::4973::excellent!::1215184630\n", "dat") == {4973: ["excellent!"]}


def test_no_more_are_kept_than_can_be_told(tmp_path: Path) -> None:
    given = [f"{user},1,tag {number:02},1" for number in range(30) for user in range(number + 1)]
    found = tags_in(tmp_path, HEADER + "\n".join(given))
    assert found == {1: [f"tag {number}" for number in range(29, 29 - MOST_TAGS, -1)]}


TAGS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(0, 3),
        st.text(st.sampled_from('aB ,"\n\u00e9'), max_size=4),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(rows=TAGS, end=st.sampled_from(["\n", "\r\n"]))
def test_every_file_gives_what_counting_in_python_gives(rows: list, end: str) -> None:
    users: dict[int, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for user, movie, tag in rows:
        if tag.strip():
            users[movie][tag.strip().lower()].add(user)
    expected = {
        movie: sorted(tags, key=lambda tag: (-len(tags[tag]), tag.encode()))[:MOST_TAGS]
        for movie, tags in users.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator=end)
            writer.writerow(["userId", "movieId", "tag", "timestamp"])
            writer.writerows([*row, 1] for row in rows)
        assert tags_in(Path(folder), path.read_bytes().decode()) == expected


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("x,2,bad,1", "3, userId: 'x' is not a whole number"),
        ("1,-2,bad,1", "3, movieId: '-2' is not a whole number"),
        ("1,2.5,bad,1", "3, movieId: '2.5' is not a whole number"),
        ("1,2,bad", "3, whole line: '1,2,bad' has 3 fields, not 4"),
        ("1,2,bad,1,1", "3, whole line: '1,2,bad,1,1' has 5 fields, not 4"),
    ],
)
def test_a_line_that_cannot_be_read_is_told_or_put_aside(tmp_path: Path, line: str, told: str) -> None:
    text = f"{HEADER}1,2,good,1\n{line}\n1,2,better,1\n"
    with pytest.raises(DataError, match=r"tags\.csv: 1 line cannot be used") as error:
        tags_in(tmp_path, text)
    assert f"line {told}" in str(error.value)
    aside = tmp_path / "aside"
    aside.mkdir()
    assert tags_in(tmp_path, text, unreadable=UnreadableRows(aside)) == {2: ["better", "good"]}
    [problems] = aside.iterdir()
    assert pq.read_table(problems)["source_line"].to_pylist() == [3]


def test_another_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"tags\.csv, line 1: the header lacks tag"):
        tags_in(tmp_path, "userId,movieId,label,timestamp\n1,2,good,1\n")
