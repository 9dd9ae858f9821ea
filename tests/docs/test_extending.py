"""The worked examples of `docs/extending.md`, applied to a copy of the code and tried there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "extending.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"^## (Add [^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
BLOCK = re.compile(r'^```(python|diff) title="([^"]+)"\n(.*?)^```$', re.DOTALL | re.MULTILINE)


def edited(text: str, hunk: str) -> str:
    """A text with what a hunk removes, which stands there once, replaced by what it adds."""
    lines = hunk.splitlines()
    before = "\n".join(line[1:] for line in lines if line[0] in " -")
    after = "\n".join(line[1:] for line in lines if line[0] in " +")
    assert text.count(before) == 1, before
    return text.replace(before, after)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code with all examples in it."""
    folder = tmp_path_factory.mktemp("a copy")
    for package in ("components", "pipelines", "recommender", "serving"):
        shutil.copytree(REPOSITORY / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "tests").mkdir()
    shutil.copy(REPOSITORY / "tests" / "conftest.py", folder / "tests")
    shutil.copy(REPOSITORY / "pyproject.toml", folder)
    for example in EXAMPLES.values():
        for kind, name, code in BLOCK.findall(example):
            file = folder / name
            if kind == "diff":
                for hunk in code.split("@@\n"):
                    file.write_text(edited(file.read_text(encoding="utf-8"), hunk), encoding="utf-8")
            else:
                assert not file.exists()
                file.write_text(code, encoding="utf-8")
    return folder


def test_there_is_a_worked_example_of_each_kind_in_less_than_sixty_lines():
    assert list(EXAMPLES) == ["Add a loss", "Add a part of a tower", "Add a source", "Add a step"]
    for name, example in EXAMPLES.items():
        lines = sum(code.count("\n") for _, _, code in BLOCK.findall(example))
        assert 0 < lines < 60, name


def test_the_examples_do_what_their_tests_say(copy: Path):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly", "tests"]
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout
