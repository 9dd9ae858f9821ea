"""What the documentation shows of the Python API works."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.parametrize("name", ["configuration", "ratings"])
def test_the_examples_of_docstrings_work(name: str):
    module = importlib.import_module(f"recommender.api.{name}")
    tried = doctest.testmod(module, optionflags=OPTIONS)
    assert tried.attempted
    assert not tried.failed


def test_the_examples_of_the_page_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "python-api.md").read_text(encoding="utf-8")
    # A fence ends an expected output, as an empty line does.
    examples = doctest.DocTestParser().get_doctest(page.replace("```", ""), {}, "python-api.md", None, 0)
    tried = doctest.DocTestRunner(optionflags=OPTIONS).run(examples)
    assert tried.attempted
    assert not tried.failed
