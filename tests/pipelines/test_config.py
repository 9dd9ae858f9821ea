"""One YAML file: what is read, what is refused and how it is said."""

from pathlib import Path

import pytest

from pipelines.config import PipelineConfig, read_config
from recommender.errors import ConfigurationError


@pytest.fixture
def yaml_file(tmp_path):
    def write(text: str) -> Path:
        file = tmp_path / "mine.yaml"
        file.write_text(text)
        return file

    return write


def test_the_configuration_of_ml_100k_round_trips_to_json():
    config = read_config(Path("ml-100k.yaml"))
    assert PipelineConfig.model_validate_json(config.model_dump_json()) == config
    assert config.evaluator.ks == (5, 10, 20)
    assert not config.tuner.enabled


def test_a_bare_name_finds_the_configuration_that_comes_with_marquee():
    assert read_config(Path("ml-100k")) == read_config(Path("ml-100k.yaml"))


def test_set_overrides_fields_at_any_depth():
    config = read_config(
        Path("ml-100k"),
        ["trainer.epochs=3", "transform.split.test_size=0", "trainer.model.user_tower.hidden=[256, 128]"],
    )
    assert config.trainer.epochs == 3
    assert config.transform.split.test_size == 0.0
    assert config.trainer.model.user_tower.hidden == (256, 128)


def test_numbers_may_be_written_with_an_exponent(yaml_file):
    config = read_config(yaml_file("trainer: {learning_rate: 1e-3}"), ["trainer.weight_decay=2E-5"])
    assert (config.trainer.learning_rate, config.trainer.weight_decay) == (0.001, 0.00002)


def test_an_empty_file_is_all_defaults(yaml_file):
    assert read_config(yaml_file("")) == PipelineConfig()


@pytest.mark.parametrize(
    ("text", "overrides", "said"),
    [
        (
            "trainer: {epoks: 3}",
            [],
            r"trainer\.epoks: there is no such key; known here: batch_size, .*epochs",
        ),
        ("trainer: {epochs: three}", [], r"trainer\.epochs: .*integer, got 'three'"),
        ("trainer: {epochs: '3'}", [], r"trainer\.epochs: .*integer, got '3'"),
        ("trainer: {epochs: 0}", [], r"trainer\.epochs: .*greater than or equal to 1, got 0"),
        ("", ["trainer.epochs=2.5"], r"trainer\.epochs: .*got 2\.5"),
        ("", ["transform.split.test_size=1.5"], r"transform\.split\.test_size: .*got 1\.5"),
        ("", ["trainers.epochs=3"], r"trainers: there is no such key; known here: .*trainer"),
        ("", ["trainer.epochs"], r"--set trainer\.epochs: write it as section\.field=value"),
        ("run: {seed: 1}", ["run.seed.deep=1"], r"seed is a value, not a section"),
        ("- a list", [], r"expected sections such as `trainer:`, found list"),
        ("a: [unclosed", [], r"mine\.yaml is no YAML"),
        ("example_gen: {source: elsewhere}", [], r"example_gen\.source: .*got 'elsewhere'"),
        ("run: {name: 'Not A Name'}", [], r"run\.name: .*got 'Not A Name'"),
        ("evaluator: {ks: [5]}", ["evaluator.minimum.ndcg@10=0.4"], r"evaluator: .*minimum asks for ndcg@10"),
        ("evaluator: {minimum: {ndgc@10: 0.4}}", [], r"asks for ndgc@10, which is not measured"),
        ("evaluator: {ks: [0]}", [], r"evaluator\.ks\.0: .*got 0"),
        ("tuner: {space: {batch_size: []}}", [], r"tuner\.space\.batch_size\.values: .*got \[\]"),
        ("trainer: {learning_rate: .inf}", [], r"trainer\.learning_rate"),
        ("run: {seed: 2001-01-01}", [], r"mine\.yaml"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_path(text, overrides, said, yaml_file):
    with pytest.raises(ConfigurationError, match=said):
        read_config(yaml_file(text), overrides)


OWN_FILES = "example_gen: {source: directory, path: /data, ratings: {file: a.csv, %s}}\n"
PROVIDED = "transform: {split: {strategy: provided}}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PROVIDED, r"strategy=provided needs .* set example_gen\.source=directory and .*ratings\.test_file"),
        (OWN_FILES % "delimiter: ;" + PROVIDED, r"provided needs .*example_gen\.ratings\.test_file"),
        (
            OWN_FILES % "validation_file: v.csv" + PROVIDED,
            r"provided needs .*example_gen\.ratings\.test_file",
        ),
        (
            OWN_FILES % "test_file: t.csv",
            r"example_gen\.ratings\.test_file would be mixed .*strategy=random: set that to provided",
        ),
        (
            OWN_FILES % "test_file: t.csv, validation_file: v.csv",
            r"ratings\.test_file and example_gen\.ratings\.validation_file would be mixed",
        ),
    ],
)
def test_a_test_file_and_the_strategy_that_uses_it_need_each_other(text, said, yaml_file):
    with pytest.raises(ConfigurationError, match=said):
        read_config(yaml_file(text))


def test_a_test_file_with_the_strategy_that_uses_it_is_read(yaml_file):
    config = read_config(yaml_file(OWN_FILES % "test_file: t.csv" + PROVIDED))
    assert config.example_gen.ratings.test_file == "t.csv"
    assert config.transform.split.strategy == "provided"


def test_a_missing_file_names_those_that_come_with_marquee(tmp_path):
    with pytest.raises(ConfigurationError, match=r"no such file.*ml-100k\.yaml"):
        read_config(tmp_path / "absent.yaml")
