"""Unpacking zip archives that come from elsewhere, without trusting them."""

import shutil
import stat
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

from recommender.errors import DataError

MAX_UNPACKED_BYTES: Final = 4 * 2**30
"""The most an archive may unpack to; MovieLens 25M takes 1.2 GB."""


def unpack(
    archive: Path,
    folder: Path,
    *,
    only: Collection[str] | None = None,
    max_bytes: int = MAX_UNPACKED_BYTES,
) -> None:
    """Unpack a zip archive into a folder, or only the files in it with certain names.

    Every entry is looked at before the first is written, also those that are not wanted: absolute paths,
    paths that lead out, links, encrypted entries and too large a total refuse the whole archive.

    Raises:
        DataError: it cannot be read, is damaged, cut short, or refused; names the archive and the entry.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            _refuse_unsafe(archive, entries, max_bytes)
            for entry in entries:
                if entry.is_dir() or (only is not None and PurePosixPath(entry.filename).name not in only):
                    continue
                target = folder / entry.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(entry) as source, target.open("wb") as unpacked:
                    shutil.copyfileobj(source, unpacked, 1 << 20)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise DataError(
            f"{archive} is not a zip archive, or is damaged or cut short: {error}. Copy or download it again."
        ) from error
    except OSError as error:
        raise DataError(f"{archive} cannot be unpacked into {folder}: {error}.") from error


def _refuse_unsafe(archive: Path, entries: list[zipfile.ZipInfo], max_bytes: int) -> None:
    for entry in entries:
        name = entry.filename
        windows = PureWindowsPath(name)
        if windows.drive or windows.root or ".." in windows.parts or ".." in PurePosixPath(name).parts:
            raise DataError(f"{archive} is refused: {name!r} would be written outside of the folder.")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise DataError(f"{archive} is refused: {name!r} is a link.")
        if entry.flag_bits & 0x1:
            raise DataError(f"{archive} is refused: {name!r} is encrypted. Unpack it and give the folder.")
    total = sum(entry.file_size for entry in entries)
    if total > max_bytes:
        raise DataError(
            f"{archive} is refused: it unpacks to {total:,} bytes, at most {max_bytes:,} are allowed. "
            "If you trust it, unpack it and give the folder."
        )
