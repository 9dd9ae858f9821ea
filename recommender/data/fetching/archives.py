"""Unpacking zip archives that come from elsewhere, without trusting them."""

import lzma
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

from recommender.errors import DataError

MAX_UNPACKED_BYTES: Final = 4 * 2**30
"""The most an archive may unpack to; MovieLens 25M takes 1.2 GB."""
_COMPRESSIONS: Final = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
"""What Python reads. Windows compresses files from 2 GB on by Deflate64, which it does not."""


def unpack(
    archive: Path,
    folder: Path,
    *,
    only: Collection[str] | None = None,
    max_bytes: int = MAX_UNPACKED_BYTES,
) -> None:
    """Unpack a zip archive into a new or empty folder, or only the files in it with certain names.

    Every entry is looked at before the first is written, also those that are not wanted: absolute paths,
    paths that lead out, links and other special files, names that come twice, encrypted entries, unknown
    compressions and too large a total refuse the whole archive. The folder is there with all that is wanted,
    or is as it was before.

    Raises:
        DataError: it cannot be read, is damaged, cut short, or refused; names the archive and the entry. Or
            the folder cannot be written to, or is not empty.
    """
    folder = folder.absolute()
    if folder.is_dir() and any(folder.iterdir()):
        raise DataError(f"{archive} is not unpacked into {folder}: it is not empty. Give a new folder.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
            unpacked = Path(scratch) / "unpacked"
            unpacked.mkdir()
            _unpack(archive, unpacked, only, max_bytes)
            unpacked.rename(folder)
    except OSError as error:
        raise DataError(
            f"{archive} cannot be unpacked into {folder}: {error}. Check that the archive can be read and "
            "that there is room."
        ) from error


def _unpack(archive: Path, folder: Path, only: Collection[str] | None, max_bytes: int) -> None:
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            _refuse_unsafe(archive, entries, max_bytes)
            for entry in entries:
                if entry.is_dir() or (only is not None and PurePosixPath(entry.filename).name not in only):
                    continue
                target = folder / entry.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                # No more is read of an entry than it declares, whatever is in it, and its checksum must then
                # be right: the bound on what is declared is one on what is written.
                with opened.open(entry) as source, target.open("wb") as unpacked:
                    shutil.copyfileobj(source, unpacked, 1 << 20)
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        RuntimeError,  # what zipfile raises for a version or a flag that it does not know
        ValueError,
    ) as error:
        raise DataError(
            f"{archive} is not a zip archive, or is damaged or cut short: {error}. Copy or download it again."
        ) from error


def _refuse_unsafe(archive: Path, entries: list[zipfile.ZipInfo], max_bytes: int) -> None:
    seen = set()
    for entry in entries:
        name, path = entry.filename, PurePosixPath(entry.filename)
        windows = PureWindowsPath(name)
        if not path.parts:
            raise DataError(f"{archive} is refused: it has an entry without a name.")
        if windows.drive or windows.root or ".." in windows.parts or ".." in path.parts:
            raise DataError(f"{archive} is refused: {name!r} would be written outside of the folder.")
        # Not every program that makes archives says what kind of file an entry is.
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if stat.S_ISLNK(kind):
            raise DataError(f"{archive} is refused: {name!r} is a link.")
        if kind and not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            raise DataError(f"{archive} is refused: {name!r} is neither a file nor a folder.")
        if entry.flag_bits & 0x1:
            raise DataError(f"{archive} is refused: {name!r} is encrypted. Unpack it and give the folder.")
        if entry.compress_type not in _COMPRESSIONS:
            raise DataError(
                f"{archive} is refused: {name!r} is compressed by method {entry.compress_type}, which is not "
                "known here. Unpack it and give the folder."
            )
        if path in seen:
            raise DataError(f"{archive} is refused: {name!r} comes twice. Unpack it and give the folder.")
        seen.add(path)
    total = sum(entry.file_size for entry in entries)
    if total > max_bytes:
        raise DataError(
            f"{archive} is refused: it unpacks to {total:,} bytes, at most {max_bytes:,} are allowed. "
            "If you trust it, unpack it and give the folder."
        )
