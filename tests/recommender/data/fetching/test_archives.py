import resource
import stat
import struct
import warnings
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.data.fetching.archives import unpack
from recommender.errors import DataError

DEFLATE64 = 9


def zip_of(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


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


@pytest.mark.parametrize("name", [b"\0Q", b"./"])
def test_an_entry_without_a_name_refuses_the_whole_archive(tmp_path, name):
    archive = zip_of(tmp_path / "a.zip", {"ratings.csv": b"r", "QQ": b""})
    archive.write_bytes(archive.read_bytes().replace(b"QQ", name))
    with pytest.raises(DataError, match="an entry without a name"):
        unpack(archive, tmp_path / "out")
    assert left_in(tmp_path) == ["a.zip"]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (stat.S_IFLNK, "is a link"),
        (stat.S_IFIFO, "is neither a file nor a folder"),
        (stat.S_IFCHR, "is neither a file nor a folder"),
        (stat.S_IFSOCK, "is neither a file nor a folder"),
    ],
)
def test_links_and_special_files_refuse_the_whole_archive(tmp_path, kind, told):
    special = zipfile.ZipInfo("ratings.csv")
    special.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("movies.csv", "m")
        archive.writestr(special, "/etc/passwd")
    with pytest.raises(DataError, match=rf"'ratings\.csv' {told}"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert left_in(tmp_path) == ["a.zip"]


@pytest.mark.parametrize("second", ["ml/ratings.csv", "ml//ratings.csv", "ml/./ratings.csv"])
def test_a_name_that_comes_twice_refuses_the_whole_archive(tmp_path, second):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("ml/ratings.csv", "what is looked at")
        archive.writestr(second, "what is left")
    with pytest.raises(DataError, match=r"ratings\.csv' comes twice"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert left_in(tmp_path) == ["a.zip"]


def test_archives_that_unpack_to_too_much_are_refused(tmp_path):
    archive = zip_of(tmp_path / "a.zip", {"a.csv": bytes(600), "b.csv": bytes(600)})
    with pytest.raises(DataError, match="unpacks to 1,200 bytes, at most 1,000"):
        unpack(archive, tmp_path / "out", max_bytes=1_000)
    assert left_in(tmp_path) == ["a.zip"]


def understate(archive: Path, size: int, crc: int) -> None:
    """Let the one entry of an archive declare another size and checksum, in both of its headers."""
    content = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 14), (b"PK\x01\x02", 16)):
        at = content.index(signature) + offset  # crc, size as it is packed, size unpacked
        struct.pack_into("<I", content, at, crc)
        struct.pack_into("<I", content, at + 8, size)
    archive.write_bytes(content)


def test_an_entry_that_swells_past_the_size_it_declares_is_refused(tmp_path):
    archive = zip_of(tmp_path / "a.zip", {"ratings.csv": bytes(50_000_000)})
    understate(archive, 10, zlib.crc32(bytes(50_000_000)))
    with pytest.raises(DataError, match="damaged"):
        unpack(archive, tmp_path / "out", max_bytes=1_000)
    assert left_in(tmp_path) == ["a.zip"]


def test_no_more_is_written_of_an_entry_than_it_declares_even_if_its_checksum_fits(tmp_path):
    archive = zip_of(tmp_path / "a.zip", {"ratings.csv": bytes(50_000_000)})
    understate(archive, 10, zlib.crc32(bytes(10)))
    unpack(archive, tmp_path / "out", max_bytes=1_000)
    assert (tmp_path / "out/ratings.csv").read_bytes() == bytes(10)


def test_a_bomb_of_overlapping_entries_is_refused(tmp_path):
    """Many names for the same packed bytes: small in itself, huge unpacked."""
    archive = zip_of(tmp_path / "a.zip", {"a": bytes(1_000_000)})
    content = archive.read_bytes()
    at = content.index(b"PK\x01\x02")
    entry, end = content[at : content.index(b"PK\x05\x06")], content[content.index(b"PK\x05\x06") :]
    entries = b"".join(entry[:-1] + bytes([name]) for name in range(97, 122))
    end = bytearray(end)
    struct.pack_into("<HHI", end, 8, 25, 25, len(entries))
    archive.write_bytes(content[:at] + entries + end)
    with pytest.raises(DataError, match="unpacks to 25,000,000 bytes"):
        unpack(archive, tmp_path / "out", max_bytes=10_000_000)
    assert left_in(tmp_path) == ["a.zip"]


def test_a_disk_that_is_too_small_leaves_nothing(tmp_path):
    archive = zip_of(tmp_path / "a.zip", {"movies.csv": b"m", "ratings.csv": bytes(3_000_000)})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        with pytest.raises(DataError, match=r"a\.zip cannot be unpacked into .*out: .*too large"):
            unpack(archive, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert left_in(tmp_path) == ["a.zip"]


def test_a_folder_with_something_in_it_stays_as_it_is(tmp_path):
    archive = zip_of(tmp_path / "a.zip", {"ratings.csv": b"new"})
    (tmp_path / "out").mkdir()
    (tmp_path / "out/ratings.csv").write_bytes(b"old")
    with pytest.raises(DataError, match=r"out: it is not empty"):
        unpack(archive, tmp_path / "out")
    assert (tmp_path / "out/ratings.csv").read_bytes() == b"old"


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "out").mkdir()
    unpack(zip_of(tmp_path / "a.zip", {"ratings.csv": b"new"}), tmp_path / "out")
    assert (tmp_path / "out/ratings.csv").read_bytes() == b"new"


def test_an_archive_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.zip cannot be unpacked"):
        unpack(tmp_path / "nowhere.zip", tmp_path / "out")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=8))
def test_however_an_archive_is_damaged_the_error_is_a_plain_one(tmp_path_factory, changes):
    folder = tmp_path_factory.mktemp("damaged")
    archive = zip_of(folder / "a.zip", {"ml/ratings.csv": b"1,2,3,4\n" * 50, "ml/movies.csv": b"1,A,War\n"})
    content = bytearray(archive.read_bytes())
    for place, byte in changes:
        content[place % len(content)] = byte
    archive.write_bytes(content)
    try:
        unpack(archive, folder / "out")
    except DataError:
        assert left_in(folder) == ["a.zip"]


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
    assert left_in(tmp_path) == ["a.zip"]


def test_an_encrypted_archive_is_refused(tmp_path):
    content = bytearray(zip_of(tmp_path / "a.zip", {"ratings.csv": b"r"}).read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match="encrypted"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_a_compression_that_python_does_not_know_is_named(tmp_path):
    content = bytearray(zip_of(tmp_path / "a.zip", {"ratings.csv": b"r"}).read_bytes())
    content[content.index(b"PK\x01\x02") + 10] = DEFLATE64
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"'ratings\.csv' is compressed by method 9, .* Unpack it"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert left_in(tmp_path) == ["a.zip"]
