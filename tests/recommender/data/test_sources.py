import logging
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from recommender.data.rating_scale import HALF_STARS
from recommender.data.source_report import SourceReport
from recommender.data.sources import ExampleGenConfig, fingerprint, ingest
from recommender.data.synthetic import SyntheticConfig
from recommender.errors import DataError

SHARED = Path(__file__).parents[4] / "shared" / "data"
HEADER = b"userId,movieId,rating,timestamp\n"
SMALL = {
    "ratings.csv": b"userId,movieId,rating,timestamp\n2,10,4.5,300\n1,20,3,200\n1,10,5,200\n1,30,2,100\n",
    "movies.csv": b"movieId,title,genres\n30,C (1990),War\n10,A (1995),War|Drama\n20,B,(no genres listed)\n",
}


def shared(name: str) -> Path:
    if not (SHARED / name).is_file():
        pytest.skip(f"../shared/data/{name} is absent")
    return SHARED / name


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def directory(path: Path) -> ExampleGenConfig:
    return ExampleGenConfig(source="directory", path=str(path))


def rows(path: Path) -> list[tuple]:
    return [tuple(row.values()) for row in pq.read_table(path).to_pylist()]


@pytest.fixture(scope="session")
def wheel_downloads(tmp_path_factory) -> Path:
    """A folder that keeps the wheel once pip has fetched it."""
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture
def no_mirror(tmp_path) -> tuple[str]:
    return ((tmp_path / "nowhere").as_uri(),)


def test_tables_are_canonical_and_sorted(tmp_path):
    report = ingest(directory(write(tmp_path / "in", SMALL)), tmp_path / "out", tmp_path / "downloads")
    assert rows(tmp_path / "out/ratings.parquet") == [
        (1, 30, 2.0, 100, 0, 5),
        (1, 10, 5.0, 200, 0, 4),
        (1, 20, 3.0, 200, 0, 3),
        (2, 10, 4.5, 300, 0, 2),
    ]
    assert rows(tmp_path / "out/movies.parquet") == [
        (10, "A (1995)", ["War", "Drama"], 1995, None, None, []),
        (20, "B", [], None, None, None, []),
        (30, "C (1990)", ["War"], 1990, None, None, []),
    ]
    types = [str(field.type) for field in pq.read_schema(tmp_path / "out/ratings.parquet")]
    assert types == ["int64", "int64", "float", "int64", "int16", "int64"]
    schema = pq.read_schema(tmp_path / "out/movies.parquet")
    assert [str(field.type).split("<")[0] for field in schema] == [
        "int64",
        "string",
        "list",
        "int32",
        "string",
        "int64",
        "list",
    ]
    assert (report.n_ratings, report.n_users, report.n_movies, report.n_rated_movies) == (4, 2, 3, 3)


def test_the_report_is_kept_beside_the_tables(tmp_path):
    report = ingest(directory(write(tmp_path / "in", SMALL)), tmp_path / "out", tmp_path / "downloads")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "movies.parquet",
        "ratings.parquet",
        "source.json",
    ]
    assert SourceReport.model_validate_json((tmp_path / "out/source.json").read_text()) == report
    assert report.files == ("ratings.csv", "movies.csv")
    assert (report.rating_scale, report.has_timestamps) == (HALF_STARS, True)
    assert (report.n_repeated_ratings, report.n_unreadable) == (0, 0)
    assert report.notes == ("There is no links.csv: imdb_id and tmdb_id are missing.",)


def test_the_latest_of_several_ratings_of_a_movie_stays_and_the_rest_is_put_aside(tmp_path):
    again = b"userId,movieId,rating,timestamp\n1,10,2,300\n1,10,4,100\n1,10,3,300\n1,20,1,5\n"
    folder = write(tmp_path / "in", {**SMALL, "ratings.csv": again})
    report = ingest(directory(folder), tmp_path / "out", tmp_path / "downloads")
    assert rows(tmp_path / "out/ratings.parquet") == [(1, 20, 1.0, 5, 0, 5), (1, 10, 3.0, 300, 0, 4)]
    assert rows(tmp_path / "out/repeated.parquet") == [(1, 10, 4.0, 100, 0, 3), (1, 10, 2.0, 300, 0, 2)]
    assert (report.n_ratings, report.n_repeated_ratings) == (2, 2)
    note = "Dropped 2 earlier ratings of a movie that the same user rated again: repeated.parquet has them."
    assert note in report.notes


def test_ratings_that_are_not_plausible_are_for_the_validator(tmp_path):
    folder = write(tmp_path / "in", {**SMALL, "ratings.csv": HEADER + b"1,10,7.5,-3\n"})
    ingest(directory(folder), tmp_path / "out", tmp_path / "downloads")
    assert rows(tmp_path / "out/ratings.parquet") == [(1, 10, 7.5, -3, 0, 2)]


def test_rated_movies_that_are_not_listed_are_added_and_counted(tmp_path):
    folder = write(tmp_path / "in", {**SMALL, "movies.csv": b"movieId,title,genres\n20,B,War\n"})
    report = ingest(directory(folder), tmp_path / "out", tmp_path / "downloads")
    assert rows(tmp_path / "out/movies.parquet") == [
        (10, "Movie 10", [], None, None, None, []),
        (20, "B", ["War"], None, None, None, []),
        (30, "Movie 30", [], None, None, None, []),
    ]
    assert 'Added 2 rated movies that movies.csv lacks, as "Movie <id>".' in report.notes


def test_the_same_input_gives_the_same_bytes(tmp_path):
    folder = write(tmp_path / "in", SMALL)
    for name in "ab":
        ingest(directory(folder), tmp_path / name, tmp_path / "downloads")
    for name in ("ratings.parquet", "movies.parquet", "source.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_order_of_lines_changes_nothing_but_their_numbers(tmp_path):
    header, *lines = SMALL["ratings.csv"].splitlines(keepends=True)
    shuffled = {**SMALL, "ratings.csv": header + b"".join(reversed(lines))}
    reports = [
        ingest(directory(write(tmp_path / f"in-{name}", files)), tmp_path / name, tmp_path / "downloads")
        for name, files in (("a", SMALL), ("b", shuffled))
    ]
    assert reports[0].ratings_sha256 == reports[1].ratings_sha256
    ratings = [[row[:4] for row in rows(tmp_path / name / "ratings.parquet")] for name in "ab"]
    assert ratings[0] == ratings[1]


def test_a_failure_leaves_nothing_half_written(tmp_path):
    good, bad = write(tmp_path / "good", SMALL), write(tmp_path / "bad", {**SMALL, "movies.csv": b"oops\n"})
    with pytest.raises(DataError):
        ingest(directory(bad), tmp_path / "out/examples", tmp_path / "downloads")
    assert list((tmp_path / "out").iterdir()) == []
    ingest(directory(good), tmp_path / "out/examples", tmp_path / "downloads")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out/examples").iterdir()}
    with pytest.raises(DataError):
        ingest(directory(bad), tmp_path / "out/examples", tmp_path / "downloads")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out/examples").iterdir()} == before
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["examples"]


def test_errors_in_an_archive_name_the_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as archive:
        archive.writestr("ml/ratings.csv", SMALL["ratings.csv"] + b"1,10,seven,1\n")
        archive.writestr("ml/movies.csv", SMALL["movies.csv"])
    with pytest.raises(DataError, match=r"mine\.zip!ml/ratings\.csv: 1 line cannot be used"):
        ingest(directory(tmp_path / "mine.zip"), tmp_path / "out", tmp_path / "downloads")


def test_files_in_an_archive_are_named_with_it(tmp_path):
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as archive:
        for name, content in SMALL.items():
            archive.writestr(f"ml/{name}", content)
    report = ingest(directory(tmp_path / "mine.zip"), tmp_path / "out", tmp_path / "downloads")
    assert report.files == ("mine.zip!ml/ratings.csv", "mine.zip!ml/movies.csv")


@pytest.mark.parametrize("name", ["it's my data", "odd [1] * ? {a,b}", "part=1"])
def test_names_of_folders_are_taken_as_they_are(tmp_path, name):
    folder = write(tmp_path / name, SMALL)
    report = ingest(directory(folder), tmp_path / "out", tmp_path / "downloads")
    assert report.n_ratings == 4
    assert pq.read_schema(tmp_path / "out/ratings.parquet").names == [
        *("user_id", "movie_id", "rating", "timestamp"),
        *("source_file", "source_line"),
    ]


@pytest.mark.parametrize("name", ["nowhere", "notes.txt"])
def test_a_path_that_is_neither_a_folder_nor_an_archive_is_named(tmp_path, name):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match=name):
        ingest(directory(tmp_path / name), tmp_path / "out", tmp_path / "downloads")


def test_movielens_1m_is_read_whole(tmp_path):
    archive = shared("ml-1m.zip")
    reports = [ingest(directory(archive), tmp_path / name, tmp_path / "downloads") for name in "ab"]
    report = reports[0]
    assert (report.n_ratings, report.n_users, report.n_movies) == (1_000_209, 6_040, 3_883)
    assert (report.dialect, report.n_rated_movies) == ("dat", 3_706)
    titles = {row[0]: row[1] for row in rows(tmp_path / "a/movies.parquet")}
    assert titles[73] == "Misérables, Les (1995)"
    for name in ("ratings.parquet", "movies.parquet"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_movielens_latest_small_is_read_whole_with_its_links_and_tags(tmp_path):
    report = ingest(directory(shared("ml-latest-small.zip")), tmp_path / "out", tmp_path / "downloads")
    assert (report.n_ratings, report.n_users, report.n_movies) == (100_836, 610, 9_742)
    assert (report.dialect, report.n_rated_movies, report.notes) == ("csv", 9_724, ())
    assert report.archive_sha256 == "696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436"
    assert rows(tmp_path / "out/movies.parquet")[0] == (
        *(1, "Toy Story (1995)", ["Adventure", "Animation", "Children", "Comedy", "Fantasy"]),
        *(1995, "0114709", 862, ["pixar", "fun"]),
    )


def test_movielens_100k_comes_from_a_wheel_where_no_mirror_can_be_reached(
    tmp_path, wheel_downloads, no_mirror, caplog
):
    """The one test that uses a package registry, as pip is configured."""
    caplog.set_level(logging.INFO)
    config = ExampleGenConfig(mirrors=no_mirror)
    report = ingest(config, tmp_path / "out", wheel_downloads)
    assert report.source == "MovieLens 100K from the copy inside the recbole 1.2.1 wheel"
    assert report.source in caplog.text
    assert (report.n_ratings, report.n_users, report.n_movies) == (100_000, 943, 1_682)
    assert report.n_rated_movies == 1_682
    movies = {row[0]: row[1:4] for row in rows(tmp_path / "out/movies.parquet")}
    assert movies[1] == ("Toy Story (1995)", ["Animation", "Children's", "Comedy"], 1995)
    assert movies[12] == ("Usual Suspects, The (1995)", ["Crime", "Thriller"], 1995)
    assert movies[267] == ("unknown", [], None)
    assert movies[1412][0] == "Land Before Time III: The Time of the Great Giving (1995) (V)"
    assert movies[1623] == ("Cérémonie, La (1995)", ["Drama"], 1995)
    # Once fetched, neither mirrors nor pip are asked again.
    caplog.clear()
    assert ingest(config, tmp_path / "again", wheel_downloads) == report
    assert "Fetching" not in caplog.text


def test_movielens_is_fetched_from_a_mirror_and_named(tmp_path):
    archive = shared("ml-latest-small.zip")
    config = ExampleGenConfig(dataset="latest-small", mirrors=(archive.parent.as_uri(),))
    report = ingest(config, tmp_path / "out", tmp_path / "downloads")
    assert (report.source, report.dialect) == ("MovieLens Latest Small from GroupLens", "csv")
    assert report.address == f"{archive.parent.as_uri()}/ml-latest-small.zip"
    assert report.files == tuple(
        f"ml-latest-small.zip!ml-latest-small/{name}.csv" for name in ("ratings", "movies", "links", "tags")
    )


# What is left out, and what cannot be written.


def test_unreadable_rows_are_put_aside_if_that_is_wanted(tmp_path, caplog):
    broken = SMALL["ratings.csv"] + b"3,x,4,1\n3,1,4\n"
    links = b"movieId,imdbId,tmdbId\n10,7,eight\n20,9,\n"
    movies = SMALL["movies.csv"] + b"40,,War\n"
    folder = write(tmp_path / "in", {"ratings.csv": broken, "movies.csv": movies, "links.csv": links})
    report = ingest(directory(folder), tmp_path / "out", tmp_path / "downloads", keep_unreadable=True)
    not_an_id = "is not a whole number from 0 to 2^63-1: ids that are text have to be numbered first"
    assert rows(tmp_path / "out/unreadable.parquet") == [
        (0, 6, "movieId", "x", not_an_id),
        (0, 7, "whole line", "3,1,4", "has 3 fields, not 4 separated by ','"),
        (1, 5, "title", "", "is missing"),
        (2, 2, "tmdbId", "eight", not_an_id),
    ]
    assert (report.n_ratings, report.n_unreadable) == (4, 4)
    assert [row[4:] for row in rows(tmp_path / "out/ratings.parquet")] == [(0, 5), (0, 4), (0, 3), (0, 2)]
    assert "Left out 4 rows that cannot be read: unreadable.parquet has them." in report.notes
    assert "ratings.csv: 2 of 6 rows cannot be read" in caplog.text


def test_a_file_most_of_whose_rows_cannot_be_read_is_refused_anyway(tmp_path):
    folder = write(tmp_path / "in", {**SMALL, "ratings.csv": HEADER + b"1,10,4,7\n" + b"a,b,c,d\n" * 2})
    with pytest.raises(DataError, match="2 lines cannot be used"):
        ingest(directory(folder), tmp_path / "out", tmp_path / "downloads", keep_unreadable=True)
    assert not (tmp_path / "out").exists()


def test_a_file_without_ratings_is_refused(tmp_path):
    folder = write(tmp_path / "in", {**SMALL, "ratings.csv": HEADER + b"\n"})
    with pytest.raises(DataError, match=r"in/ratings\.csv holds no ratings"):
        ingest(directory(folder), tmp_path / "out", tmp_path / "downloads")


def test_what_an_earlier_run_put_aside_does_not_stay(tmp_path):
    again = b"1,10,2,300\n"
    folder = write(tmp_path / "in", {**SMALL, "ratings.csv": SMALL["ratings.csv"] + again})
    ingest(directory(folder), tmp_path / "out", tmp_path / "downloads")
    assert (tmp_path / "out/repeated.parquet").is_file()
    write(folder, SMALL)
    ingest(directory(folder), tmp_path / "out", tmp_path / "downloads")
    assert not (tmp_path / "out/repeated.parquet").exists()


def test_a_file_where_the_output_belongs_is_told(tmp_path):
    folder = write(tmp_path / "in", SMALL)
    (tmp_path / "out").write_text("mine")
    with pytest.raises(DataError, match="out is a file where a folder should be"):
        ingest(directory(folder), tmp_path / "out", tmp_path / "downloads")
    with pytest.raises(DataError, match="out cannot be written: "):
        ingest(directory(folder), tmp_path / "out/examples", tmp_path / "downloads")
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_that_must_not_be_written_is_told(tmp_path):
    folder = write(tmp_path / "in", SMALL)
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(DataError, match=r"locked.* cannot be written: Permission denied"):
        ingest(directory(folder), tmp_path / "locked/out", tmp_path / "downloads")


FULL_DISC = """
import resource, signal, sys
from pathlib import Path
from recommender.data.sources import ExampleGenConfig, ingest
from recommender.errors import DataError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
source, output = map(Path, sys.argv[1:])
try:
    ingest(ExampleGenConfig(source="directory", path=str(source)), output, output)
except DataError as error:
    sys.exit(f"DataError: {error}")
"""


def test_a_disc_that_is_full_is_told_and_nothing_stays(tmp_path):
    """A limit on the size of files stands in for the end of a disc."""
    lines = b"".join(f"{user},{10 + user % 7},4,{user}\n".encode() for user in range(20_000))
    folder = write(tmp_path / "in", {**SMALL, "ratings.csv": HEADER + lines})
    (tmp_path / "there").mkdir()
    command = [sys.executable, "-c", FULL_DISC, str(folder), str(tmp_path / "there/out")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "DataError: " in ended.stderr
    assert "cannot be written: " in ended.stderr
    assert "there is room" in ended.stderr
    assert list((tmp_path / "there").iterdir()) == []


def test_what_tensorflow_datasets_has_not_prepared_is_told(tmp_path):
    config = ExampleGenConfig(source="tfds", tfds_data_dir=str(tmp_path / "nowhere"))
    for use in (fingerprint, lambda config: ingest(config, tmp_path / "out", tmp_path / "downloads")):
        with pytest.raises(
            DataError, match="No movielens/100k-ratings and no movielens/100k-movies prepared"
        ):
            use(config)


def test_synthetic_ratings_are_made_and_read(tmp_path):
    config = ExampleGenConfig(
        source="synthetic", synthetic=SyntheticConfig(n_users=20, n_movies=30, n_ratings=200)
    )
    report = ingest(config, tmp_path / "out", tmp_path / "downloads")
    assert (report.n_ratings, report.n_users, report.n_movies) == (200, 20, 30)
    assert (report.source, report.address) == ("synthetic ratings", "seed 0")


def test_the_fingerprint_changes_with_what_will_be_read_and_with_nothing_else(tmp_path):
    folder = write(tmp_path / "in", SMALL)
    first = fingerprint(directory(folder))
    write(folder, {"README": b"hello"})
    assert fingerprint(directory(folder)) == first
    assert fingerprint(directory(write(tmp_path / "moved", SMALL))) == first
    write(folder, {"ratings.csv": SMALL["ratings.csv"].replace(b"4.5", b"3.5")})
    changed = fingerprint(directory(folder))
    write(folder, {"links.csv": b"movieId,imdbId,tmdbId\n"})
    synthetic = ExampleGenConfig(source="synthetic")
    reseeded = ExampleGenConfig(source="synthetic", synthetic=SyntheticConfig(seed=1))
    others = [ExampleGenConfig(), synthetic, reseeded, directory(folder)]
    assert len({first, changed, *map(fingerprint, others)}) == 6


def test_the_fingerprint_covers_own_files_and_what_their_columns_are_called(tmp_path):
    folder = write(tmp_path / "in", {"a.csv": b"user_id,movie_id,rating,stars\n1,1,1,2\n", "b.csv": b"x"})

    def config(**ratings):
        return ExampleGenConfig.from_mapping(
            {"source": "directory", "path": str(folder), "ratings": {"file": "a.csv", **ratings}}
        )

    prints = [
        fingerprint(config()),
        fingerprint(config(columns={"rating": "stars"})),
        fingerprint(config(timestamp_unit="ms")),
        fingerprint(config(test_file="b.csv")),
    ]
    (folder / "b.csv").write_bytes(b"y")
    prints.append(fingerprint(config(test_file="b.csv")))
    assert len(set(prints)) == 5
    assert fingerprint(config()) == prints[0]


def test_the_fingerprint_of_a_published_data_set_does_not_depend_on_the_mirror(no_mirror):
    assert fingerprint(ExampleGenConfig(mirrors=no_mirror)) == fingerprint(ExampleGenConfig())


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"source": "directory"}, "source=directory needs path"),
        ({"mirrors": ["ftp://example.org/"]}, "is not an address starting with https://"),
        ({"dataset": "2b"}, "100k"),
        ({"ratings": {}}, r"for files of your own \(ratings\) set source=directory"),
        ({"path": "a"}, r"for files of your own \(path\) set source=directory"),
        ({"source": "directory", "path": "a", "ratings": {"delimiter": "::"}}, "delimiter"),
        ({"source": "directory", "path": "a", "ratings": {"columns": {"user": "u"}}}, "user"),
        ({"source": "directory", "path": "a", "rating_scale": {"min": 5, "max": 1}}, "lowest rating"),
        ({"sauce": "movielens"}, "sauce"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(values, told):
    with pytest.raises(ValidationError, match=told):
        ExampleGenConfig.from_mapping(values)


def test_the_configuration_round_trips_to_json():
    config = ExampleGenConfig(source="synthetic", mirrors=("file:///a/", "https://example.org/"))
    assert ExampleGenConfig.model_validate_json(config.model_dump_json()) == config
    own = ExampleGenConfig.from_mapping(
        {
            "source": "directory",
            "path": "shop",
            "ratings": {
                "file": "orders/*.csv",
                "delimiter": ";",
                "columns": {"user_id": "customer", "timestamp": "bought_at"},
                "timestamp_unit": "iso",
            },
            "movies": {"file": "articles.csv", "columns": {"title": "name"}},
            "rating_scale": {"min": 1, "max": 10, "step": 1},
        }
    )
    assert ExampleGenConfig.model_validate_json(own.model_dump_json()) == own
