"""Which release a run is compared with, so that the cache is asked the same question as before."""

from pathlib import Path
from typing import Any

import pytest

from pipelines.live_release import compared_with, run_fingerprint
from recommender.release import promote, write_release


@pytest.fixture
def release(empty_parts: dict[str, Path], tmp_path: Path) -> Any:
    """Writes a release of a run and makes it live."""

    def write(fingerprint: str | None, live: str | None) -> str:
        manifest = {
            "dataset": "invented",
            "config": {},
            "seed": 1,
            "git_commit": None,
            "libraries": {},
            "data": {"made by": fingerprint},
            "counts": {"users": 0, "movies": 0, "ratings": 0},
            "dimension": 2,
            "metrics": {"live": live and {"name": live}},
        } | ({"run_fingerprint": fingerprint} if fingerprint else {})
        releases = tmp_path / "releases"
        version = write_release(releases, empty_parts, manifest)
        promote(releases, version)
        return version

    return write


def test_where_nothing_is_live_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    assert compared_with(tmp_path / "releases", "mine") == ""


@pytest.mark.parametrize("fingerprint", ["theirs", None])
def test_what_another_run_made_is_compared_with(
    fingerprint: str | None, release: Any, tmp_path: Path
) -> None:
    version = release(fingerprint, None)
    assert compared_with(tmp_path / "releases", "mine") == str(tmp_path / "releases" / version)


def test_a_run_that_made_the_live_release_asks_what_it_asked_then(release: Any, tmp_path: Path) -> None:
    releases = tmp_path / "releases"
    release("mine", None)
    assert compared_with(releases, "mine") == ""
    first = release("theirs", None)
    release("mine", first)
    assert compared_with(releases, "mine") == str(releases / first)
    assert compared_with(releases, "theirs") != str(releases / first)


def test_a_live_release_that_cannot_be_read_is_left_to_the_evaluator(release: Any, tmp_path: Path) -> None:
    folder = tmp_path / "releases" / release("mine", None)
    (folder / "manifest.json").write_text("{")
    assert compared_with(tmp_path / "releases", "mine") == str(folder)


def test_a_fingerprint_tells_where_one_part_ends() -> None:
    assert run_fingerprint("ab", "c") == run_fingerprint("ab", "c") != run_fingerprint("a", "bc")
