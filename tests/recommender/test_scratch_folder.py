"""Folders for temporary files, and what becomes of them when a process is killed."""

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from recommender.scratch_folder import ScratchFolder

HOLD = """
from recommender.scratch_folder import ScratchFolder
folder = ScratchFolder("kind-")
(folder.path / "file").write_text("what it works on")
print("made", flush=True)
{then}
"""


@pytest.fixture(autouse=True)
def temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def process(folder: Path, then: str) -> "subprocess.Popen[str]":
    """A process that has made a folder."""
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)}
    started = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(then=then)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert started.stdout.readline() == "made\n"
    return started


def test_a_closed_folder_is_gone_with_all_it_holds(tmp_path: Path) -> None:
    with ScratchFolder("kind-") as folder:
        (folder.path / "below").mkdir()
        (folder.path / "below" / "file").write_text("text")
        assert folder.path.parent == tmp_path
        assert folder.path.stat().st_mode & 0o777 == 0o700
    folder.close()
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_ends_leaves_nothing(tmp_path: Path) -> None:
    process(tmp_path, "").communicate()
    assert list(tmp_path.iterdir()) == []


def test_the_next_one_removes_what_a_killed_process_left_and_nothing_else(tmp_path: Path) -> None:
    killed, running = process(tmp_path, "input()"), process(tmp_path, "input()")
    before = set(tmp_path.iterdir())
    killed.kill()
    killed.communicate()
    (tmp_path / "kind-of-file").write_text("no folder")
    (tmp_path / "another-kind").mkdir()
    (tmp_path / "kind-of-link").symlink_to(tmp_path / "another-kind")
    with ScratchFolder("kind-") as folder:
        left = set(tmp_path.iterdir()) - {folder.path}
        assert {path.name for path in left - before} == {"kind-of-file", "another-kind", "kind-of-link"}
        (alive,) = left & before
        assert (alive / "file").read_text() == "what it works on"
    running.communicate("\n")
    assert not alive.exists()


def test_folders_made_at_once_leave_each_other_alone(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        folders = list(threads.map(lambda _: ScratchFolder("kind-"), range(200)))
    assert len({folder.path for folder in folders}) == 200
    assert all(folder.path.is_dir() for folder in folders)
    for folder in folders:
        folder.close()
    assert list(tmp_path.iterdir()) == []
