"""The pages that are made from the code say everything that is there, and what is typed by hand is true."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, get_args

import pytest
import typer.main
from pydantic import BaseModel

from pipelines.cli import app
from pipelines.config import PipelineConfig
from pipelines.movielens import STEPS
from reference_pages.command_line import command_line_page
from reference_pages.configuration import configuration_page, settings_page
from reference_pages.rest_api import openapi_document, rest_api_page
from reference_pages.results import quality_results, results_page
from serving.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"


def fields_of(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, str]]:
    """Section and name of every field of a configuration."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        options = get_args(kind) if isinstance(kind, UnionType) else (kind,)
        below = [each for each in options if isinstance(each, type) and issubclass(each, BaseModel)]
        if below:
            yield from fields_of(below[0], f"{path}.{name}".lstrip("."))
        yield path, name


def test_every_field_of_a_configuration_stands_in_its_section():
    sections = dict(
        re.findall(r"^##+ `(\S+)` .*?\n(.*?)(?=^##|\Z)", configuration_page(), re.DOTALL | re.MULTILINE)
    )
    fields = [(section, name) for section, name in fields_of(PipelineConfig) if section]
    assert ("trainer.model.user_tower", "half_lives") in fields
    for section, name in fields:
        assert f"| `{name}` |" in sections[section], (section, name)


def test_every_field_is_documented():
    fields = [line for line in configuration_page().splitlines() if line.startswith("| `")]
    assert len(fields) > 100
    for line in fields:
        assert line.removesuffix(" |").rpartition("|")[2].strip(), line


def test_every_setting_of_the_service_is_there():
    page = settings_page()
    for name in Settings.model_fields:
        assert f"| `MARQUEE_{name.upper()}` |" in page


def test_every_command_is_there():
    def names(command: Any, path: str) -> Iterator[str]:
        for name, below in getattr(command, "commands", {}).items():
            yield f"{path} {name}"
            yield from names(below, f"{path} {name}")

    page = command_line_page()
    for name in names(typer.main.get_command(app), "marquee"):
        assert re.search(rf"^#+ `{name}`$", page, re.MULTILINE), name


def test_every_route_and_every_object_is_there():
    page = rest_api_page()
    document = openapi_document()
    for path, operations in document["paths"].items():
        for method in operations:
            assert page.count(f"### `{method.upper()} {path}`\n") == 1
    for name in document["components"]["schemas"]:
        assert f"### {name}\n" in page


def test_the_picture_of_the_pipeline_names_every_step():
    picture = (DOCS / "pipeline.svg").read_text(encoding="utf-8")
    for step in STEPS:
        assert f">{step}<" in picture


def test_every_result_is_in_a_table():
    page = results_page()
    for result in quality_results().values():
        for metrics in result["models"].values():
            assert f"| {metrics['ndcg@10']:.4f} |" in page


ROWS = {
    "ML-100K, P-random": "quality-100k-p-random",
    "ML-100K, P-ms": "quality-100k-p-ms",
    "ML-100K, P-time-user": "quality-100k-p-time-user",
    "ML-100K, P-time-global": "quality-100k-p-time-global",
    "ML-1M, P-random": "quality-1m-p-random",
    "ML-1M, P-recbole": "quality-1m-p-recbole",
}


@pytest.mark.parametrize(("row", "file"), ROWS.items())
def test_a_result_typed_by_hand_is_that_of_its_file(row: str, file: str):
    result = quality_results()[file]
    page = (DOCS / "models.md").read_text(encoding="utf-8")
    (line,) = (line for line in page.splitlines() if line.startswith(f"| {row} |"))
    models = result["models"]
    ndcg = {name: f"{metrics['ndcg@10']:.4f}".lstrip("0") for name, metrics in models.items()}
    cells = [cell.strip() for cell in line.split("|")[2:-1]]
    others = ("most_popular", "recently_popular", "item_knn", "ials")
    other = max((name for name in others if name in models), key=lambda name: models[name]["ndcg@10"])
    assert cells[:3] == [ndcg["retrieval"], ndcg["two_stage"], ndcg["ease"]]
    assert cells[3].rpartition(" ")[2] == ndcg[other]
    best = max(models[other]["ndcg@10"], models["ease"]["ndcg@10"])
    assert cells[4] == f"{models['retrieval']['ndcg@10'] / best:.3f}"
    assert cells[5] == f"{models['retrieval']['coverage@10'] / models['ease']['coverage@10']:.2f}"
