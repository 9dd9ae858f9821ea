import stat
import zipfile
from pathlib import Path

import pytest

from recommender.data.archives import unpack
from recommender.errors import DataError


def zip_of(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def test_unpacks_files_with_their_folders(tmp_path):
    archive = zip_of(tmp_path / "a.zip", {"ml/": b"", "ml/ratings.csv": b"x" * 3_000_000, "README": b"hello"})
    unpack(archive, tmp_path / "out")
    assert (tmp_path / "out/ml/ratings.csv").read_bytes() == b"x" * 3_000_000
    assert (tmp_path / "out/README").read_bytes() == b"hello"


def test_leaves_out_files_that_are_not_wanted(tmp_path):
    archive = zip_of(tmp_path / "a.zip", {"ml/ratings.csv": b"r", "ml/genome-scores.csv": b"g"})
    unpack(archive, tmp_path / "out", only={"ratings.csv"})
    assert [path.name for path in (tmp_path / "out/ml").iterdir()] == ["ratings.csv"]


@pytest.mark.parametrize(
    "name",
    ["/etc/evil", "../evil", "ml/../../evil", "ml\\..\\..\\evil", "C:\\evil", "C:evil", "\\\\host\\evil"],
)
def test_paths_that_lead_out_refuse_the_whole_archive(tmp_path, name):
    archive = zip_of(tmp_path / "a.zip", {"ratings.csv": b"r", name: b"evil"})
    with pytest.raises(DataError, match=r"a\.zip is refused.*outside"):
        unpack(archive, tmp_path / "out", only={"ratings.csv"})
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.zip"]


def test_links_refuse_the_whole_archive(tmp_path):
    link = zipfile.ZipInfo("ratings.csv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match=r"'ratings\.csv' is a link"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_archives_that_unpack_to_too_much_are_refused(tmp_path):
    archive = zip_of(tmp_path / "a.zip", {"a.csv": bytes(600), "b.csv": bytes(600)})
    with pytest.raises(DataError, match="unpacks to 1,200 bytes, at most 1,000"):
        unpack(archive, tmp_path / "out", max_bytes=1_000)


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.98])
def test_a_truncated_archive_is_named(tmp_path, keep):
    whole = zip_of(tmp_path / "whole.zip", {"ratings.csv": bytes(range(256)) * 100}).read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(DataError, match=r"cut\.zip is not a zip archive, or is damaged or cut short"):
        unpack(tmp_path / "cut.zip", tmp_path / "out")


def test_a_damaged_entry_is_found_by_its_checksum(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("ratings.csv", b"1,2,3,4\n" * 100)
    content = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(content.replace(b"1,2,3,4\n", b"1,2,5,4\n", 1))
    with pytest.raises(DataError, match="damaged"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_an_encrypted_archive_is_refused(tmp_path):
    content = bytearray(zip_of(tmp_path / "a.zip", {"ratings.csv": b"r"}).read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match="encrypted"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
