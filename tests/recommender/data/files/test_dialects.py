import csv
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from recommender.data.engine import open_engine
from recommender.data.files.dialects import ML_100K_GENRES, find_source_files
from recommender.data.files.links_file import Links, read_links
from recommender.data.files.movies_files import read_movies, release_year
from recommender.data.files.ratings_files import stage_ratings, staged_ratings
from recommender.data.files.row_problems import REFUSED
from recommender.errors import DataError

MOVIES_CSV = b"movieId,title,genres\n1,Toy Story (1995),Animation|Comedy\n"
RATINGS_HEADER = b"userId,movieId,rating,timestamp\n"


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def ratings_in(folder: Path) -> list[tuple]:
    [file] = find_source_files(folder).ratings
    engine = open_engine()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            staged = stage_ratings(engine, file, REFUSED, Path(scratch))
            rows = engine.to_pyarrow(staged_ratings(engine, [staged])).to_pylist()
    finally:
        engine.disconnect()
    rows.sort(key=lambda row: row["source_line"])
    return [(row["user_id"], row["movie_id"], row["rating"], row["timestamp"]) for row in rows]


def movies_in(folder: Path) -> list[dict]:
    files = find_source_files(folder)
    links = read_links(files.links) if files.links else {}
    return read_movies(files.movies, files.movies_layout, links).to_pylist()


def csv_folder(folder: Path, ratings: bytes) -> Path:
    return write(folder, {"ratings.csv": ratings, "movies.csv": MOVIES_CSV})


# Round trips: the same tables in every dialect.

IDS = st.integers(min_value=0, max_value=2**63 - 1)
RATINGS = st.lists(
    st.tuples(IDS, IDS, st.sampled_from([stars / 2 for stars in range(1, 11)]), st.integers(0, 2**33)),
    min_size=1,
    max_size=20,
)
TITLES = st.text(st.characters(codec="latin-1", exclude_categories=["C", "Z"]), min_size=1, max_size=20)
MOVIES = st.dictionaries(
    IDS,
    st.tuples(
        TITLES.filter(lambda title: ":" not in title and "|" not in title),
        st.integers(1900, 2030),
        st.lists(st.sampled_from(ML_100K_GENRES), unique=True).map(sorted),
    ),
    min_size=1,
    max_size=20,
)
LINE_ENDS = st.sampled_from(["\n", "\r\n"])


def flags(genres: list[str]) -> list[str]:
    return ["1" if genre in genres else "0" for genre in ("unknown", *ML_100K_GENRES)]


def write_dialect(folder: Path, dialect: str, ratings: list, movies: dict, end: str) -> None:
    """Write tables as GroupLens did, or in RecBole's way, by hand."""
    titled = [(movie, f"{title} ({year})", genres) for movie, (title, year, genres) in movies.items()]

    def save(name: str, lines: list[str], encoding: str) -> None:
        (folder / name).write_bytes((end.join(lines) + end).encode(encoding))

    if dialect == "u.data":
        save("u.data", ["\t".join(map(str, row)) for row in ratings], "ascii")
        items = ["|".join([str(movie), title, "", "", "", *flags(genres)]) for movie, title, genres in titled]
        save("u.item", items, "latin-1")
    elif dialect == "dat":
        save("ratings.dat", ["::".join(map(str, row)) for row in ratings], "ascii")
        save(
            "movies.dat",
            [f"{movie}::{title}::{'|'.join(genres)}" for movie, title, genres in titled],
            "utf-8",
        )
    elif dialect == "csv":
        save(
            "ratings.csv",
            ["userId,movieId,rating,timestamp", *(",".join(map(str, row)) for row in ratings)],
            "ascii",
        )
        with (folder / "movies.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator=end)
            writer.writerow(["movieId", "title", "genres"])
            for movie, title, genres in titled:
                writer.writerow([movie, title, "|".join(genres) or "(no genres listed)"])
    else:
        header = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
        save("ml-100k.inter", [header, *("\t".join(map(str, row)) for row in ratings)], "ascii")
        header = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq"
        rows = [
            f"{movie}\t{title}\t{year}\t{' '.join(genres)}" for movie, (title, year, genres) in movies.items()
        ]
        save("ml-100k.item", [header, *rows], "utf-8")


def reads_as_utf8(text: str) -> bool:
    try:
        return text.encode("latin-1").decode("utf-8") != text
    except UnicodeDecodeError:
        return False


@pytest.mark.parametrize("dialect", ["u.data", "dat", "csv", "recbole"])
@settings(max_examples=40, deadline=None)
@given(ratings=RATINGS, movies=MOVIES, end=LINE_ENDS)
def test_every_dialect_gives_back_what_was_written(tmp_path_factory, dialect, ratings, movies, end):
    # Latin-1 text that happens to be UTF-8 as a whole cannot be told apart.
    assume(
        dialect != "u.data" or not reads_as_utf8("".join(title for title, _year, _genres in movies.values()))
    )
    folder = tmp_path_factory.mktemp("round")
    write_dialect(folder, dialect, ratings, movies, end)
    assert find_source_files(folder).dialect == dialect
    assert ratings_in(folder) == ratings
    assert {
        movie["movie_id"]: (movie["title"], movie["release_year"], movie["genres"])
        for movie in movies_in(folder)
    } == {movie: (f"{title} ({year})", year, genres) for movie, (title, year, genres) in movies.items()}


# What is accepted.


def test_a_byte_order_mark_is_no_part_of_the_first_field(tmp_path):
    bom = b"\xef\xbb\xbf"
    with_header = csv_folder(tmp_path / "csv", bom + RATINGS_HEADER + b"1,1,4.5,7\n")
    (with_header / "movies.csv").write_bytes(bom + MOVIES_CSV)
    without = write(
        tmp_path / "dat", {"ratings.dat": bom + b"1::1::4.5::7\n", "movies.dat": bom + b"1::A (1990)::War\n"}
    )
    assert ratings_in(with_header) == ratings_in(without) == [(1, 1, 4.5, 7)]
    assert movies_in(with_header)[0]["movie_id"] == movies_in(without)[0]["movie_id"] == 1


def test_line_ends_may_be_mixed_blank_lines_occur_and_the_last_end_be_missing(tmp_path):
    folder = csv_folder(tmp_path, RATINGS_HEADER + b"1,1,4,7\r\n\n2,1,3,8\n \n3,1,0.5,9")
    assert ratings_in(folder) == [(1, 1, 4.0, 7), (2, 1, 3.0, 8), (3, 1, 0.5, 9)]


def test_columns_of_ratings_csv_may_come_in_any_order_and_in_quotes(tmp_path):
    folder = csv_folder(tmp_path, b'"movieId","userId","timestamp","rating"\n"10","1","7","4.5"\n')
    assert ratings_in(folder) == [(1, 10, 4.5, 7)]


def test_numbers_as_spreadsheets_write_them_are_whole(tmp_path):
    folder = csv_folder(tmp_path, RATINGS_HEADER + b"1.0,1e+05,4,9.75e8\n")
    assert ratings_in(folder) == [(1, 100_000, 4.0, 975_000_000)]


def test_more_columns_in_movies_csv_do_not_matter(tmp_path):
    folder = csv_folder(tmp_path, RATINGS_HEADER + b"1,1,4,7\n")
    (folder / "movies.csv").write_bytes(b'year,genres,title,movieId\n1995,War,"A ""B"", C (1990)",5\n')
    [movie] = movies_in(folder)
    assert (movie["movie_id"], movie["title"], movie["genres"]) == (5, 'A "B", C (1990)', ["War"])


def test_links_are_joined_where_there_are_any(tmp_path):
    folder = csv_folder(tmp_path, RATINGS_HEADER + b"1,1,4,7\n")
    (folder / "links.csv").write_bytes(b"movieId,imdbId,tmdbId\n1,0114709,862\n2,0113497,\n")
    assert read_links(folder / "links.csv") == {1: Links("0114709", 862), 2: Links("0113497", None)}
    assert (movies_in(folder)[0]["imdb_id"], movies_in(folder)[0]["tmdb_id"]) == ("0114709", 862)


def test_a_movie_without_genres_has_an_empty_list(tmp_path):
    folder = csv_folder(tmp_path, RATINGS_HEADER + b"1,1,4,7\n")
    (folder / "movies.csv").write_bytes(b"movieId,title,genres\n1,A,(no genres listed)\n2,B,\n")
    assert [movie["genres"] for movie in movies_in(folder)] == [[], []]


@pytest.mark.parametrize(
    ("title", "year"),
    [
        ("Toy Story (1995)", 1995),
        ("Babe Ruth Story, The (1948) ", 1948),
        ("Land Before Time III: The Time of the Great Giving (1995) (V)", 1995),
        ("Death Note (2006\N{EN DASH}2007)", 2006),
        ("Blade Runner 2049", None),
        ("2001: A Space Odyssey (1968)", 1968),
        ("(500) Days of Summer (2009)", 2009),
        ("unknown", None),
    ],
)
def test_the_release_year_is_the_one_at_the_end_of_the_title(title, year):
    assert release_year(title) == year


def test_a_data_set_may_lie_one_folder_down(tmp_path):
    write(tmp_path / "ml-1m", {"ratings.dat": b"1::1::5::7\n", "movies.dat": b"1::A (1990)::War\n"})
    assert find_source_files(tmp_path).all() == [
        tmp_path / "ml-1m/ratings.dat",
        tmp_path / "ml-1m/movies.dat",
    ]


# What is refused, and how it is told.


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (b"1,1,4", "whole line: '1,1,4' has 3 fields, not 4 separated by ','"),
        (b"1,1,4,7,9", "whole line: '1,1,4,7,9' has 5 fields"),
        (
            b"x7,1,4,7",
            "userId: 'x7' is not a whole number from 0 to 2^63-1: ids that are text have to be numbered",
        ),
        (b"-3,1,4,7", "userId: '-3' is not a whole number from 0 to 2^63-1\n"),
        (b"3,-1,4,7", "movieId: '-1' is not a whole number from 0 to 2^63-1\n"),
        (b",1,4,7", "userId: '' is missing"),
        (b"1.5,1,4,7", "userId: '1.5' is not a whole number"),
        (b"1,0x10,4,7", "movieId: '0x10' is not a whole number"),
        (b"1,  ,4,7", "movieId: '  ' is missing"),
        (b"9223372036854775808,1,4,7", "userId: '9223372036854775808' is not a whole number"),
        (b"1,1,good,7", "rating: 'good' is not a finite number"),
        (b"1,1,,7", "rating: '' is missing"),
        (b"1,1,nan,7", "rating: 'nan' is not a finite number"),
        (b"1,1,inf,7", "rating: 'inf' is not a finite number"),
        (b"1,1,1e39,7", "rating: '1e39' is not a finite number"),
        (b'1,1,"3,5",7', "rating: '3,5' has a decimal comma: write a point instead"),
        (b"1_000,1,4,7", "userId: '1_000' is not a whole number"),
        (b"1,1,1_0,7", "rating: '1_0' is not a finite number"),
        (b"1,1,4,2024-05-01 12:00:00", "timestamp: '2024-05-01 12:00:00' is a date: set example_gen.ratings"),
        (b"1,1,4,yesterday", "timestamp: 'yesterday' is not a whole number"),
        (b"1,1,4,", "timestamp: '' is missing"),
        (b"1,1,4,nan", "timestamp: 'nan' is not a whole number"),
        (b"1,1,\xff\xfe,7", "rating: '\xff\xfe' is not a finite number"),
    ],
)
def test_a_broken_rating_is_told_with_file_line_field_and_value(tmp_path, row, told):
    folder = csv_folder(tmp_path, RATINGS_HEADER + b"1,1,4,7\n\n" + row + b"\n2,1,4,7\n")
    with pytest.raises(DataError) as caught:
        ratings_in(folder)
    assert f"{folder / 'ratings.csv'}: 1 line cannot be used.\n  line 4, {told}" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("u.data", b"1\t1\t4\t7\n1\t1\tx\t7\n", "line 2, rating: 'x' is not a finite number"),
        (
            "ratings.dat",
            b"1::1::4::7\n1:1:4:7\n",
            "line 2, whole line: '1:1:4:7' has 1 fields, not 4 separated by '::'",
        ),
    ],
)
def test_lines_are_counted_from_1_where_there_is_no_header(tmp_path, name, content, told):
    write(tmp_path, {name: content, "u.item" if name == "u.data" else "movies.dat": b""})
    with pytest.raises(DataError, match="cannot be used") as caught:
        ratings_in(tmp_path)
    assert told in str(caught.value)


def test_many_broken_lines_are_counted_and_the_first_are_shown(tmp_path):
    good = b"1,1,4,7\n" * 50_000
    folder = csv_folder(tmp_path, RATINGS_HEADER + good + b"1,1,six,7\n" * 1_234 + good)
    with pytest.raises(DataError) as caught:
        ratings_in(folder)
    assert "1,234 lines cannot be used" in str(caught.value)
    assert [line.split(",")[0] for line in str(caught.value).splitlines() if line.startswith("  line")] == [
        f"  line {50_002 + index}" for index in range(5)
    ]
    assert "and 1,229 more" in str(caught.value)


def test_a_long_value_is_cut_in_the_error(tmp_path):
    folder = csv_folder(tmp_path, RATINGS_HEADER + b"1,1," + b"x" * 10_000 + b",7\n")
    with pytest.raises(DataError) as caught:
        ratings_in(folder)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (
            b"1,1,4,7\n2,1,4,7\n",
            r"line 1: '1, 1, 4, 7' is no header\. .* such as userId,movieId,rating,timestamp\.",
        ),
        (
            b"user,movie,rating,timestamp\n1,1,4,7\n",
            r"header lacks userId, movieId; it has 'user, movie, rating, timestamp'. Is 'user', 'movie'",
        ),
        (b"\n\n", "line 1: the header lacks userId"),
        ("userId,movieId,rating,timestamp\n".encode("utf-16"), "is UTF-16"),
        (b"PK\x03\x04\x00\x00", "is no text: its first line has zero bytes"),
    ],
)
def test_a_file_that_is_no_table_of_ratings_is_named(tmp_path, content, told):
    folder = csv_folder(tmp_path, content)
    with pytest.raises(DataError, match=told) as caught:
        ratings_in(folder)
    assert str(folder / "ratings.csv") in str(caught.value)


def test_a_folder_where_a_file_should_be_is_named(tmp_path):
    write(tmp_path, {"movies.csv": MOVIES_CSV})
    (tmp_path / "ratings.csv").mkdir()
    with pytest.raises(DataError, match=r"ratings\.csv is a folder where a file should be"):
        ratings_in(tmp_path)


def test_a_file_that_cannot_be_opened_is_named(tmp_path):
    write(tmp_path, {"movies.csv": MOVIES_CSV})
    (tmp_path / "ratings.csv").symlink_to("ratings.csv")
    with pytest.raises(DataError, match=r"ratings\.csv cannot be read: .*symbolic links"):
        ratings_in(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_must_not_be_read_is_named(tmp_path):
    folder = csv_folder(tmp_path, RATINGS_HEADER)
    (folder / "ratings.csv").chmod(0)
    with pytest.raises(DataError, match=r"ratings\.csv cannot be read: Permission denied"):
        ratings_in(folder)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"movieId,title,genres\n1,A\n", "line 2, whole line: '1,A' has 2 fields, not 3"),
        (b"movieId,title,genres\n1,A, B,War\n", "has 4 fields, not 3"),
        (b"movieId,title,genres\none,A,War\n", "line 2, movieId: 'one' is not a whole number"),
        (
            b"movieId,title,genres\n-1,A,War\n",
            "line 2, movieId: '-1' is not a whole number from 0 to 2^63-1\n",
        ),
        (b"movieId,title,genres\n" + b"9" * 5000 + b",A,War\n", "line 2, movieId"),
        (b"movieId,title,genres\n,A,War\n", "line 2, movieId: '' is missing"),
        (b"movieId,title,genres\n1, ,War\n", "line 2, title: '' is missing"),
        (b"movieId,title,genres\n1,A,War\n1,B,War\n", "line 3, movieId: '1' comes a second time"),
        (b"movieId,title,genres\n", "holds no movies"),
        (b"1,A,War\n", "line 1: '1, A, War' is no header"),
        (b'movieId,title,genres\n1,"A,War\n', "line 2: unexpected end of data"),
        (b"", "is empty"),
    ],
)
def test_a_broken_table_of_movies_is_told_with_file_line_field_and_value(tmp_path, content, told):
    folder = csv_folder(tmp_path, RATINGS_HEADER + b"1,1,4,7\n")
    (folder / "movies.csv").write_bytes(content)
    with pytest.raises(DataError) as caught:
        movies_in(folder)
    assert str(folder / "movies.csv") in str(caught.value)
    assert told in str(caught.value)


def test_a_genre_flag_that_is_none_is_told(tmp_path):
    item = "|".join(["1", "A (1990)", "", "", "", *flags(["War"])[:-1], "2"])
    write(tmp_path, {"u.data": b"1\t1\t4\t7\n", "u.item": item.encode()})
    with pytest.raises(DataError, match="line 1, Western: '2' is not a flag"):
        movies_in(tmp_path)


def test_ratings_without_their_movies_name_the_file_that_is_expected(tmp_path):
    write(tmp_path, {"ratings.dat": b"1::1::5::7\n", "movies.csv": MOVIES_CSV})
    with pytest.raises(DataError, match=r"movies\.dat is missing: ratings\.dat comes with"):
        find_source_files(tmp_path)


def test_a_folder_without_ratings_names_the_files_that_are_expected(tmp_path):
    write(tmp_path, {"movies.csv": MOVIES_CSV})
    with pytest.raises(DataError, match=r"No ratings in .*u\.data or ratings\.dat or ratings\.csv"):
        find_source_files(tmp_path)


def test_two_data_sets_in_one_folder_are_not_chosen_between(tmp_path):
    for name in ("a", "b"):
        csv_folder(tmp_path / name, RATINGS_HEADER)
    with pytest.raises(DataError, match=r"More than one data set .*a/ratings\.csv, .*b/ratings\.csv"):
        find_source_files(tmp_path)
