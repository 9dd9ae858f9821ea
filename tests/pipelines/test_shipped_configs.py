"""The configurations that come with Marquee."""

from pathlib import Path

import pytest

from pipelines.config import read_config

SHIPPED = sorted((Path(__file__).parents[2] / "pipelines" / "configs").glob("*.yaml"))


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_a_shipped_configuration_is_found_by_its_name_and_names_its_run_so(file):
    assert read_config(Path(file.stem)).run.name == file.stem
