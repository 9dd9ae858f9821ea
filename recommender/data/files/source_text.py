"""The first look at a source file, before it is parsed: can it be read, and what does its head say."""

import codecs
import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from recommender.errors import DataError

_HEAD_BYTES: Final = 65_536
_CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class SourceText:
    """What holds for the whole of a text file."""

    encoding: Literal["utf-8-sig", "latin-1"]
    """UTF-8, with or without a BOM, or else Latin-1, as MovieLens 100K and 1M are."""
    n_lines: int
    """How many lines end with a line feed, and one more if the last does not."""
    has_underscore: bool
    """Whether there is one below the first line. To DuckDB "1_000" is a number."""


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
        raise unreadable(path, error) from error
    if not head:
        raise DataError(f"{path} is empty. Copy or unpack it again.")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(f"{path} is UTF-16 text. Save it as UTF-8 and try again.")
    return head


def scan_text(path: Path) -> SourceText:
    """Find the encoding of a text file and count its lines, a second for each gigabyte or so.

    Raises:
        DataError: it cannot be read.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_utf8, n_lines, has_underscore, chunk = True, 0, False, b""
    try:
        with path.open("rb") as file:
            while following := file.read(_CHUNK_BYTES):
                chunk = following
                first_line = chunk.partition(b"\n")[0] if not n_lines else b""
                has_underscore = has_underscore or b"_" in chunk[len(first_line) :]
                n_lines += chunk.count(b"\n")
                if is_utf8:
                    try:
                        decoder.decode(chunk)
                    except UnicodeDecodeError:
                        is_utf8 = False
    except OSError as error:
        raise unreadable(path, error) from error
    # A character that the end of the file cuts in two is none.
    is_utf8 = is_utf8 and not decoder.getstate()[0]
    return SourceText(
        "utf-8-sig" if is_utf8 else "latin-1",
        n_lines + bool(chunk and not chunk.endswith(b"\n")),
        has_underscore,
    )


def header_of(path: Path, head: bytes, delimiter: str) -> tuple[str, ...]:
    """The column names in the first line of a file, quotes, BOM and surrounding blanks removed."""
    line = io.StringIO(_decode_head(head), newline="")
    try:
        names = next(csv.reader(line, delimiter=delimiter), [])
    except csv.Error as error:
        raise DataError(f"{path}, line 1: the header cannot be read: {error}.") from error
    return tuple(name.strip() for name in names)


def unreadable(path: Path, error: OSError) -> DataError:
    """The error to raise for a file that the operating system does not hand over."""
    reason = error.strerror or str(error)
    return DataError(f"{path} cannot be read: {reason}. Check that it exists and may be read.")


def _decode_head(head: bytes) -> str:
    try:
        # The head may end within a character.
        return codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return head.decode("latin-1")
