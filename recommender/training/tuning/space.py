"""The space of a search: what can be set in the Trainer's configuration, and what Keras Tuner calls it."""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import keras_tuner
from pydantic import ValidationError

from recommender.errors import TrainingError
from recommender.training.configuration import TrainerConfig
from recommender.training.tuning.configuration import Choices, Range, TunerConfig, Value

_DIGITS = 4
"""Drawn numbers are rounded to so many: they read better, and survive being sent as 32 bits to a worker."""


def with_values(config: TrainerConfig, values: Mapping[str, Value]) -> TrainerConfig:
    """A configuration with some fields replaced.

    Args:
        config: Where everything else comes from.
        values: By dotted name, in which `*` stands for any name in its place.

    Raises:
        TrainingError: there is no such field, a value does not fit it, or values do not go together.
    """
    try:
        return TrainerConfig.from_mapping(_tree(config, values))
    except ValidationError as error:
        raise _explained(error.errors()[0]) from error


def accepts(config: TrainerConfig, values: Mapping[str, Value]) -> bool:
    """Whether these values go together."""
    try:
        TrainerConfig.from_mapping(_tree(config, values))
    except ValidationError:
        return False
    return True


def check_space(config: TrainerConfig, space: TunerConfig) -> None:
    """See that every value of the space fits its field, before anything is tried.

    Values that only do not go together with others are left to the search, which passes over them.

    Raises:
        TrainingError: there is no such field, or a value does not fit it.
    """
    for name, dimensions in space.dimensions.items():
        for dimension in dimensions:
            for value in dimension.choices if isinstance(dimension, Choices) else _ends(dimension):
                try:
                    TrainerConfig.from_mapping(_tree(config, {name: value}))
                except ValidationError as error:
                    for problem in error.errors():
                        where = problem["loc"][: name.count(".") + 1]
                        if fnmatchcase(".".join(map(str, where)), name):
                            raise _explained(problem) from error


def hyperparameters(space: TunerConfig) -> keras_tuner.HyperParameters:
    """The space in Keras Tuner's words."""
    made = keras_tuner.HyperParameters()
    for name, dimensions in space.dimensions.items():
        for keras_name, dimension in zip(_keras_names(name, dimensions), dimensions, strict=True):
            with contextlib.ExitStack() as scopes:
                for other, values in dimension.when.items():
                    texts = [json.dumps(value) for value in values]
                    scopes.enter_context(made.conditional_scope(other, texts))
                _add(made, keras_name, dimension)
    return made


def chosen_values(drawn: Mapping[str, Any], space: TunerConfig) -> dict[str, Value]:
    """What was drawn for a trial, by the names of the space, without fields whose `when` is not met."""
    return {
        name: _value(drawn[keras_name])
        for name, dimensions in space.dimensions.items()
        for keras_name in _keras_names(name, dimensions)
        if keras_name in drawn
    }


def set_values(config: TrainerConfig, space: TunerConfig) -> dict[str, Value]:
    """What a configuration has in place of what a trial would draw, by the names of the space.

    A name with `*` is left out where it stands for fields that differ.
    """
    tree = config.model_dump()
    values: dict[str, Value] = {}
    for name, dimensions in space.dimensions.items():
        here = {branch[key] for branch, key in _places(tree, name)}
        searched = any(
            all(values.get(other) in wanted for other, wanted in dimension.when.items())
            for dimension in dimensions
        )
        if searched and len(here) == 1:
            values[name] = here.pop()
    return values


def _keras_names(name: str, dimensions: Sequence[Choices | Range]) -> list[str]:
    # Keras Tuner drops a value where any parameter of its name is not active, so each has a name of its own.
    return [name, *(f"{name} ({number})" for number in range(2, len(dimensions) + 1))]


def _add(made: keras_tuner.HyperParameters, name: str, dimension: Choices | Range) -> None:
    if isinstance(dimension, Choices):
        # As JSON texts, because Keras Tuner knows no lists, and no choices of several kinds.
        made.Choice(name, [json.dumps(value) for value in dimension.choices])
    else:
        number = made.Int if dimension.whole else made.Float
        sampling = "log" if dimension.log else "linear"
        number(name, dimension.min, dimension.max, step=dimension.step, sampling=sampling)


def _value(drawn: Any) -> Value:
    if isinstance(drawn, str):
        value = json.loads(drawn)
        return tuple(value) if isinstance(value, list) else value
    return float(f"{drawn:.{_DIGITS}g}") if isinstance(drawn, float) else int(drawn)


def _ends(dimension: Range) -> tuple[float, float]:
    return (dimension.min, dimension.max) if dimension.whole else (float(dimension.min), float(dimension.max))


def _tree(config: TrainerConfig, values: Mapping[str, Value]) -> dict[str, Any]:
    tree: dict[str, Any] = config.model_dump(mode="json")
    for name, value in values.items():
        for branch, key in _places(tree, name):
            branch[key] = value
    return tree


def _places(tree: dict[str, Any], name: str) -> list[tuple[dict[str, Any], str]]:
    """Where a dotted name stands in a tree: the section, and its key there."""
    *path, last = name.split(".")
    found = [(branch, key) for branch in _branches(tree, path) for key in branch if fnmatchcase(key, last)]
    if not found:
        raise TrainingError(f"tuner.space.{name}: the trainer has no such field.")
    return found


def _branches(tree: dict[str, Any], path: list[str]) -> Iterator[dict[str, Any]]:
    if not path:
        yield tree
        return
    for key, branch in tree.items():
        if isinstance(branch, dict) and fnmatchcase(key, path[0]):
            yield from _branches(branch, path[1:])


def _explained(problem: Any) -> TrainingError:
    where = ".".join(str(part) for part in problem["loc"])
    reason = problem["msg"].removeprefix("Value error, ")
    got = "" if isinstance(problem["input"], dict) else f", got {problem['input']!r}"
    return TrainingError(f"tuner.space: {where}: {reason}{got}.")
