"""Removing old releases, and never one that somebody needs."""

import mmap
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.release import list_releases, live_version, verify_release
from recommender.release.pruning import plan_pruning, prune
from tests.recommender.small_releases import small_release


@pytest.fixture
def releases(tmp_path: Path) -> Path:
    """Five releases, of which the middle one is live."""
    folder = tmp_path / "releases"
    versions = [small_release(folder, seed=number) for number in range(5)]
    (folder / "current").write_text(versions[2] + "\n")
    return folder


def test_the_newest_the_live_and_the_one_before_it_stay(releases: Path) -> None:
    first, second, third, fourth, fifth = list_releases(releases)
    done = prune(releases, keep=1)
    assert done.removed == (first, fourth)
    assert done.kept == {second: "rollback goes back to it", third: "live", fifth: "one of the newest"}
    assert list_releases(releases) == [second, third, fifth]
    assert [entry.name for entry in releases.iterdir() if entry.name.startswith(".")] == []
    for version in list_releases(releases):
        verify_release(releases / version)


def test_a_plan_removes_nothing(releases: Path) -> None:
    before = list_releases(releases)
    assert plan_pruning(releases, keep=0).removed == (before[0], before[3], before[4])
    assert list_releases(releases) == before


def test_a_release_that_a_process_has_open_stays(releases: Path) -> None:
    oldest = list_releases(releases)[0]
    with (releases / oldest / "history.parquet").open("rb"):
        assert prune(releases, keep=1).kept[oldest] == "a process has it open"
    assert oldest in prune(releases, keep=1).removed


def test_a_release_that_a_process_has_mapped_stays(releases: Path) -> None:
    oldest = list_releases(releases)[0]
    with (releases / oldest / "history.parquet").open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        assert prune(releases, keep=1).kept[oldest] == "a process has it open"
    finally:
        mapped.close()


def test_what_an_interrupted_removal_left_is_no_release_and_goes(releases: Path) -> None:
    oldest = list_releases(releases)[0]
    aside = (releases / oldest).rename(releases / f".pruned-{oldest}")
    (aside / "manifest.json").unlink()
    assert oldest not in list_releases(releases)
    prune(releases, keep=9)
    assert not aside.exists()
    assert len(list_releases(releases)) == 4


def test_where_nothing_is_live_the_newest_stay(releases: Path) -> None:
    (releases / "current").unlink()
    before = list_releases(releases)
    prune(releases, keep=2)
    assert list_releases(releases) == before[3:]


@settings(deadline=None, max_examples=30)
@given(n_releases=st.integers(0, 6), live=st.integers(0, 5), keep=st.integers(0, 7))
def test_rolling_back_is_possible_after_any_pruning(
    n_releases: int, live: int, keep: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("releases")
    versions = [f"2026030{day + 1}T020000Z-0000000{day}" for day in range(n_releases)]
    for version in versions:
        (folder / version).mkdir()
    if live < n_releases:
        (folder / "current").write_text(versions[live])
    prune(folder, keep)
    left = list_releases(folder)
    assert set(versions[max(0, n_releases - keep) :]) <= set(left)
    if live < n_releases:
        assert live_version(folder) in left
        assert live == 0 or versions[live - 1] in left
    assert len(left) <= keep + 2
    shutil.rmtree(folder)
