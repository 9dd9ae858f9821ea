"""What fails around the service, for real: the same code as `python -m benchmarks.faults`, fewer times."""

from pathlib import Path

import pytest

from benchmarks.faults.corrupt_files import corrupt_files
from benchmarks.faults.full_disk import full_disk
from benchmarks.faults.hostile_requests import hostile_requests
from benchmarks.faults.qdrant_failing import qdrant_failing
from benchmarks.faults.redis_failing import redis_failing
from benchmarks.faults.release_switches import release_switches
from benchmarks.faults.server_killed import server_killed
from benchmarks.qdrant_over_http import qdrant_over_http


def test_a_killed_service_has_lost_no_rating_that_it_acknowledged(
    small_releases: Path, tmp_path: Path
) -> None:
    found = server_killed(small_releases, tmp_path, kills=2)
    assert found["violations"] == []
    assert found["acknowledged"] >= 60


def test_a_redis_that_hangs_stops_or_forgets_under_load_fails_no_request(
    small_releases: Path, tmp_path: Path
) -> None:
    found = redis_failing(small_releases, tmp_path, rounds=1, answers=100)
    assert found["violations"] == []
    for fault in ("hung", "stopped"):
        assert found["phases"][fault]["without_cache"] >= 100
    assert found["times_told_in_the_log"] >= 2


@pytest.mark.filterwarnings("ignore:.*local:UserWarning", "ignore:Local mode:UserWarning")
def test_a_qdrant_server_that_hangs_drips_or_is_away_under_load_fails_no_request(
    small_releases: Path, tmp_path: Path
) -> None:
    with qdrant_over_http() as url:
        found = qdrant_failing(small_releases, tmp_path, url, rounds=1, answers=20)
    assert found["violations"] == []
    assert found["phases"]["dripping"]["without_index"] >= 20


def test_a_release_switched_under_load_fails_no_request_and_mixes_no_answer(
    small_releases: Path, tmp_path: Path
) -> None:
    found = release_switches(small_releases, tmp_path, switches=10, connections=4)
    assert found["violations"] == []
    assert min(found["of_first_release"], found["of_second_release"]) > 0


def test_a_full_disk_refuses_ratings_and_nothing_else_until_there_is_room(
    small_releases: Path, tmp_path: Path
) -> None:
    found = full_disk(small_releases, tmp_path, rounds=2)
    assert found["violations"] == []
    assert found["acknowledged"] > 100


def test_a_file_that_is_damaged_is_named_and_the_release_before_is_served(
    two_stage_release: Path, tmp_path: Path
) -> None:
    (two_stage_release.parent / "current").write_text(two_stage_release.name)
    found = corrupt_files(two_stage_release.parent, tmp_path, most=6, starts=2)
    assert found["violations"] == []


def test_a_hostile_request_is_answered_or_refused_and_changes_nothing(
    small_releases: Path, tmp_path: Path
) -> None:
    found = hostile_requests(small_releases, tmp_path)
    assert found["violations"] == []
    assert found["requests"] >= 200
