"""One YAML file, read into a tree of frozen sections."""

import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from pipelines.cluster import ClusterConfig
from recommender.configuration import Configuration
from recommender.data.engine import EngineConfig
from recommender.data.schema import SchemaGenConfig
from recommender.data.sources import ExampleGenConfig
from recommender.data.validation import ValidationConfig
from recommender.errors import ConfigurationError
from recommender.evaluation.configuration import EvaluatorConfig
from recommender.features.transform import TransformConfig
from recommender.retrieval.configuration import BulkInferrerConfig, IndexerConfig
from recommender.training.configuration import TrainerConfig
from recommender.training.tuning.configuration import TunerConfig


class RunConfig(Configuration):
    """Options that are no hyperparameters."""

    name: str = Field(default="marquee", pattern=r"^[a-z0-9][a-z0-9-]*$")
    """Names the pipeline and the MLflow experiment."""
    seed: int = Field(default=42, ge=0, lt=2**32)
    """Of every random choice: split, initial weights, dropout, order, bootstrap."""
    profile: bool = False
    """Whether TensorBoard also gets a profile of some training steps."""


class PipelineConfig(Configuration):
    """Everything a run depends on: one section a step."""

    run: RunConfig = RunConfig()
    """Options that are no hyperparameters."""
    example_gen: ExampleGenConfig = ExampleGenConfig()
    """Where ratings and movies come from."""
    engine: EngineConfig = EngineConfig()
    """What computes tables."""
    schema_gen: SchemaGenConfig = SchemaGenConfig()
    """What ratings and movies must look like."""
    validation: ValidationConfig = ValidationConfig()
    """What becomes of ratings that do not look so."""
    transform: TransformConfig = TransformConfig()
    """Split, filters and features."""
    tuner: TunerConfig = TunerConfig()
    """Search of hyperparameters."""
    trainer: TrainerConfig = TrainerConfig()
    """Hyperparameters."""
    evaluator: EvaluatorConfig = EvaluatorConfig()
    """What is measured, and what a model must reach."""
    bulk_inferrer: BulkInferrerConfig = BulkInferrerConfig()
    """What is computed for every user."""
    indexer: IndexerConfig = IndexerConfig()
    """The vector index."""
    cluster: ClusterConfig = ClusterConfig()
    """What steps get where a cluster runs them."""

    @model_validator(mode="after")
    def _parts_come_with_their_strategy(self) -> Self:
        files, strategy = self.example_gen.ratings, self.transform.split.strategy
        given = [name for name in ("test_file", "validation_file") if files and getattr(files, name)]
        if strategy == "provided" and "test_file" not in given:
            raise ValueError(
                "transform.split.strategy=provided needs a part to test on: set example_gen.source=directory "
                "and example_gen.ratings.test_file, or choose another strategy"
            )
        if given and strategy != "provided":
            named = " and ".join(f"example_gen.ratings.{name}" for name in given)
            raise ValueError(
                f"{named} would be mixed with the other ratings by transform.split.strategy={strategy}: set "
                "that to provided, or put these ratings into example_gen.ratings.file"
            )
        return self


class _Loader(yaml.SafeLoader):
    """YAML 1.1 with the numbers of YAML 1.2: `1e-3` is one, not a text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\.\d+|\d+(\.\d*)?)[eE][-+]?\d+$"), list("-+.0123456789")
)


def read_config(file: Path, overrides: Sequence[str] = ()) -> PipelineConfig:
    """Read a configuration.

    Args:
        file: YAML; a bare name such as `ml-100k` or `ml-100k.yaml` also finds one that comes with Marquee.
        overrides: Such as `trainer.epochs=3`; the value is read as YAML.

    Raises:
        ConfigurationError: no such file, no YAML, an unknown key, or a value that does not fit, each named.
    """
    tree = _read_yaml(_find(file))
    for override in overrides:
        _set(tree, override)
    try:
        return PipelineConfig.from_mapping(tree)
    except ValidationError as error:
        raise ConfigurationError(_explain(file, overrides, error)) from error
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{file}: {error}. Use plain YAML values.") from error


def _find(file: Path) -> Path:
    if file.is_file():
        return file
    shipped = resources.files("pipelines") / "configs"
    names = sorted(entry.name for entry in shipped.iterdir() if entry.name.endswith(".yaml"))
    for name in (file.name, f"{file.name}.yaml"):
        if len(file.parts) == 1 and name in names:
            return Path(str(shipped / name))
    raise ConfigurationError(
        f"{file}: there is no such file. Give the path of a YAML file, or one of those that come with "
        f"Marquee: {', '.join(names)}."
    )


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        tree = yaml.load(file.read_text(encoding="utf-8"), _Loader)  # noqa: S506  a SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}.") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{file} is no YAML: {error}") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigurationError(
            f"{file}: expected sections such as `trainer:`, found {type(tree).__name__}."
        )
    return tree


def _set(tree: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition("=")
    keys = name.strip().split(".")
    if not equals or not all(keys):
        raise ConfigurationError(
            f"--set {override}: write it as section.field=value, such as trainer.epochs=3."
        )
    try:
        value = yaml.load(text, _Loader) if text else ""  # noqa: S506  a SafeLoader
    except yaml.YAMLError as error:
        raise ConfigurationError(f"--set {override}: {text!r} is no YAML value.") from error
    branch = tree
    for key in keys[:-1]:
        below = branch.setdefault(key, {})
        if below is None:
            below = branch[key] = {}
        if not isinstance(below, dict):
            raise ConfigurationError(f"--set {override}: {key} is a value, not a section.")
        branch = below
    branch[keys[-1]] = value


def _explain(file: Path, overrides: Sequence[str], error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_url=False):
        path = ".".join(str(part) for part in problem["loc"]) or "the whole file"
        if problem["type"] == "extra_forbidden":
            known = ", ".join(_fields(problem["loc"][:-1]))
            lines.append(f"{path}: there is no such key" + (f"; known here: {known}" if known else ""))
        else:
            reason = problem["msg"].removeprefix("Value error, ")
            # A whole section as the value says nothing that the reason does not.
            got = "" if isinstance(problem["input"], dict) else f", got {problem['input']!r}"
            lines.append(f"{path}: {reason}{got}")
    given = "".join(f" --set {override}" for override in overrides)
    return f"{file}{given} cannot be used:\n  " + "\n  ".join(lines)


def _fields(path: Sequence[int | str]) -> list[str]:
    model: Any = PipelineConfig
    for part in path:
        field = getattr(model, "model_fields", {}).get(part)
        model = field.annotation if field else None
    return sorted(getattr(model, "model_fields", {}))
