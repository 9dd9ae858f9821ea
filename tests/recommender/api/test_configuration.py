"""What a model follows from."""

import pytest
from pydantic import ValidationError

from pipelines.config import PipelineConfig, read_config
from recommender import ModelConfig


def test_the_defaults_are_those_of_the_shipped_configuration(tmp_path):
    from pathlib import Path

    shipped = read_config(Path("ml-100k"))
    ours = ModelConfig()
    assert ours.trainer == shipped.trainer
    assert ours.transform == shipped.transform
    assert ours.seed == shipped.run.seed


def test_sections_are_those_of_the_pipeline():
    theirs = PipelineConfig.model_fields
    for name, field in ModelConfig.model_fields.items():
        if name != "seed":
            assert field.annotation is theirs[name].annotation


def test_a_changed_field_leaves_its_neighbours():
    changed = ModelConfig.changed({"trainer": {"model": {"dimension": 8}}, "seed": 7})
    expected = ModelConfig().model_dump()
    expected["seed"] = 7
    expected["trainer"]["model"]["dimension"] = 8
    assert changed.model_dump() == expected


def test_an_unknown_key_is_refused_with_its_path():
    with pytest.raises(ValidationError, match=r"trainer\.epoch\b"):
        ModelConfig.changed({"trainer": {"epoch": 3}})
