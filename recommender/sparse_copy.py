"""Copy a file and keep its holes."""

from pathlib import Path

_BLOCK = 1 << 16


def copy_sparse(source: str | Path, destination: str | Path) -> None:
    """Copy a file's bytes, leaving holes where the source has blocks of zeros.

    A vector index reserves files of tens of megabytes and fills a fraction of them; a plain copy would make
    every release that much larger on disk. Fits `shutil.copytree(copy_function=...)`.

    Raises:
        OSError: a file that cannot be read or written.
    """
    with Path(source).open("rb") as reader, Path(destination).open("wb") as writer:
        while block := reader.read(_BLOCK):
            if block.count(0) == len(block):
                writer.seek(len(block), 1)
            else:
                writer.write(block)
        writer.truncate()
