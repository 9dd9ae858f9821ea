"""Changed code is never answered from the cache."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.source_digest import git_commit

ROOT = Path(__file__).resolve().parents[2]


def digest_in(folder):
    command = [sys.executable, "-c", "from pipelines.source_digest import source_digest as d; print(d())"]
    return subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(folder)}, capture_output=True, text=True, check=True
    ).stdout


def test_the_digest_changes_with_the_code_of_a_step_and_with_nothing_else(tmp_path):
    for name in ("components", "recommender", "pipelines"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    before = digest_in(tmp_path)
    (tmp_path / "README.md").write_text("Nothing that runs.")
    assert digest_in(tmp_path) == before
    with (tmp_path / "recommender" / "evaluation" / "metrics.py").open("a") as file:
        file.write("# another line\n")
    assert digest_in(tmp_path) != before


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no working copy of a repository")
def test_the_commit_of_a_working_copy_is_known() -> None:
    assert re.fullmatch("[0-9a-f]{40}(-changed)?", git_commit() or "")
