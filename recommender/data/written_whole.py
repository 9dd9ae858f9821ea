"""Folders that nobody ever sees half-written."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_whole(output: Path) -> Iterator[Path]:
    """A folder to write into, which becomes `output` at the end, or goes without a trace.

    Where `output` is there already, its files are replaced one by one, each whole, and others stay.
    """
    output = output.absolute()
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}-") as scratch:
        folder = Path(scratch) / "finished"
        folder.mkdir()
        yield folder
        if output.is_dir():
            for file in sorted(folder.iterdir()):
                file.replace(output / file.name)
        else:
            folder.rename(output)
