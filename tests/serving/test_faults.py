"""What fails around the service, for real: the same code as `python -m benchmarks.faults`, fewer times."""

from pathlib import Path

from benchmarks.faults.release_switches import release_switches
from benchmarks.faults.server_killed import server_killed


def test_a_killed_service_has_lost_no_rating_that_it_acknowledged(
    small_releases: Path, tmp_path: Path
) -> None:
    found = server_killed(small_releases, tmp_path, kills=2)
    assert found["violations"] == []
    assert found["acknowledged"] >= 60


def test_a_release_switched_under_load_fails_no_request_and_mixes_no_answer(
    small_releases: Path, tmp_path: Path
) -> None:
    found = release_switches(small_releases, tmp_path, switches=10, connections=4)
    assert found["violations"] == []
    assert min(found["of_first_release"], found["of_second_release"]) > 0
