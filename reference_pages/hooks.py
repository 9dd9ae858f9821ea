"""What MkDocs calls while it builds the site: adds the pages that are made from the code."""

import json
import re
from pathlib import Path
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from reference_pages.command_line import command_line_page
from reference_pages.configuration import configuration_page, settings_page
from reference_pages.python_api import python_api_page
from reference_pages.rest_api import openapi_document, rest_api_page
from reference_pages.results import results_page

_REPOSITORY: Final = Path(__file__).parents[1]
_ABOVE: Final = re.compile(r"\[([^\]]*)\]\(\.\./([^)#]+)\)")
"""A link from a page in `docs/` to what lies elsewhere in the repository: words and path."""
_LOADED: Final = re.compile(
    r'<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)="((?:https?:)?//[^"]*)"'
)
"""What a page loads from elsewhere."""
_NOTEBOOKS: Final = _REPOSITORY / "docs" / "notebooks.md"
_COPIES: Final = "repository"
"""Where the site has copies of such files."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made, and the files of the repository that others link to."""
    linked = {
        name
        for page in files.documentation_pages()
        for _, name in _ABOVE.findall(page.content_string)
        if (_REPOSITORY / name).is_file()
    }
    made = {
        "reference/configuration.md": configuration_page(),
        "reference/settings.md": settings_page(),
        "reference/command-line.md": command_line_page(),
        "reference/rest-api.md": rest_api_page(),
        "reference/openapi.json": json.dumps(openapi_document(), indent=1),
        "reference/python-api.md": python_api_page(),
        "reference/results.md": results_page(),
    }
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    for name in sorted(linked):
        files.append(File.generated(config, f"{_COPIES}/{name}", abs_src_path=str(_REPOSITORY / name)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Let links to files of the repository lead to the site's copies, and take those to folders away."""

    def on_site(link: re.Match[str]) -> str:
        words, name = link.groups()
        return words if (_REPOSITORY / name).is_dir() else f"[{words}]({_COPIES}/{name})"

    if page.file.src_uri == _NOTEBOOKS.name:
        markdown += "\n".join(f"- [{html.stem}](notebooks/{html.name})" for html in _rendered())
    return markdown if "/" in page.file.src_uri else _ABOVE.sub(on_site, markdown)


def _rendered() -> list[Path]:
    """What `make notebooks` has rendered, if it was run."""
    return sorted(_NOTEBOOKS.with_suffix("").glob("*.html"))


def on_post_page(output: str, page: Page, **_: Any) -> None:
    """Refuse a page that loads anything from elsewhere: the site is read without a network, too.

    Raises:
        PluginError: it does.
    """
    if loaded := _LOADED.findall(output):
        raise PluginError(f"{page.file.src_uri} loads {', '.join(loaded)}: put it into docs/ instead.")
