"""Which release a run's model has to stand beside."""

import hashlib
from pathlib import Path

from recommender.errors import ReleaseError
from recommender.release import live_version, read_manifest


def run_fingerprint(*followed_from: str) -> str:
    """sha256 over everything that a run follows from; lists of parts that differ give different ones."""
    digest = hashlib.sha256()
    for part in followed_from:
        digest.update(hashlib.sha256(part.encode()).digest())
    return digest.hexdigest()


def compared_with(releases: Path, fingerprint: str) -> str:
    """The folder of the release that a run compares its model with: the live one.

    Where the live release is what this very run made before, its model is not compared with itself, but with
    what was live then: the same question again, which the cache can answer.

    Args:
        releases: The folder of all releases.
        fingerprint: Of the run, as `run_fingerprint` gives it.

    Returns:
        Nothing where there is nothing to compare with.

    Raises:
        ReleaseError: `current` holds something that is not a version.
    """
    version = live_version(releases)
    if version is None:
        return ""
    try:
        manifest = read_manifest(releases / version)
    except ReleaseError:
        # The Evaluator, which cannot compare with it either, says why.
        return str(releases / version)
    if manifest.run_fingerprint != fingerprint:
        return str(releases / version)
    before = manifest.metrics.get("live")
    return str(releases / before["name"]) if before else ""
