"""The release folder: write, verify, load, promote and roll back.

`releases/<version>/` is complete in itself: the models, every movie and user with its vector, what users have
rated and the vector index, with a manifest that says where it all came from and how good it is.
`releases/current` is a small text file that holds the live version's name.
"""

from recommender.release.integrity import verify_release
from recommender.release.live import list_releases, live_version, promote, rollback
from recommender.release.loaded import History, Movie, Release
from recommender.release.manifest import (
    OPTIONAL_PARTS,
    PARTS,
    Counts,
    Manifest,
    ReleaseBlessing,
    read_manifest,
)
from recommender.release.positions import positions_of
from recommender.release.tables import HISTORY_SCHEMA, MOVIES_SCHEMA, USERS_SCHEMA
from recommender.release.writing import copy_release, write_release

__all__ = [
    "HISTORY_SCHEMA",
    "MOVIES_SCHEMA",
    "OPTIONAL_PARTS",
    "PARTS",
    "USERS_SCHEMA",
    "Counts",
    "History",
    "Manifest",
    "Movie",
    "Release",
    "ReleaseBlessing",
    "copy_release",
    "list_releases",
    "live_version",
    "positions_of",
    "promote",
    "read_manifest",
    "rollback",
    "verify_release",
    "write_release",
]
