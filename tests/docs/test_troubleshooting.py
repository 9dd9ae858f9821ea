"""The messages of `docs/troubleshooting.md` are those of the code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "troubleshooting.md"
HEADINGS = re.findall(r"^### `(.*)`$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
WHAT_CHANGES = "…"


def texts_of(file: Path) -> Iterator[str]:
    """Every text in a module, with what is filled in shown as `…`."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else WHAT_CHANGES for part in node.values
            )


@pytest.fixture(scope="module")
def texts() -> list[str]:
    modules = [
        file
        for package in ("pipelines", "recommender", "components", "serving")
        for file in (REPOSITORY / package).rglob("*.py")
    ]
    return [text for file in modules for text in texts_of(file)] + [(REPOSITORY / "Makefile").read_text()]


@pytest.mark.parametrize("heading", HEADINGS)
def test_a_message_on_the_page_is_one_of_the_code(heading: str, texts: list[str]):
    assert any(heading in text for text in texts)


def test_no_message_is_there_twice():
    assert len(HEADINGS) == len(set(HEADINGS)) > 30
