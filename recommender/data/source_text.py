"""The first look at a source file, before it is parsed: can it be read, and what does its head say."""

import codecs
import csv
from pathlib import Path

from recommender.errors import DataError

_HEAD_BYTES = 65_536


def read_head(path: Path) -> bytes:
    """The first 64 KiB of a file that is there, is a file, can be read and is not empty.

    Raises:
        DataError: one of these does not hold, or the text is UTF-16 (as Excel's "Unicode text" is).
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder where a file should be. Put the file itself there.")
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"{path} cannot be read: {reason}. Check that it exists and may be read.") from error
    if not head:
        raise DataError(f"{path} is empty. Copy or unpack it again.")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(f"{path} is UTF-16 text. Save it as UTF-8 and try again.")
    return head


def header_of(path: Path, head: bytes, delimiter: str) -> tuple[str, ...]:
    """The column names in the first line of a file, quotes, BOM and surrounding blanks removed."""
    line = decode(head.splitlines()[0]) if head.strip() else ""
    try:
        names = next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error as error:
        raise DataError(f"{path}, line 1: the header cannot be read: {error}.") from error
    return tuple(name.strip() for name in names)


def decode(content: bytes) -> str:
    """Text that is UTF-8, with or without a BOM, or else Latin-1, as MovieLens 100K and 1M are."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")
