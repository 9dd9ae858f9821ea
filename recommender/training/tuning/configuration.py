"""How hyperparameters are searched, and among which values."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from recommender.configuration import Configuration

Value = bool | int | float | str | tuple[int, ...]
"""What a field can be set to; widths of layers are a list."""


class Choices(Configuration):
    """A field of `trainer` that takes one of some values; without `when` a plain list says the same."""

    choices: tuple[Value, ...] = Field(min_length=1)
    """The values."""
    when: dict[str, tuple[Value, ...]] = Field(default={})
    """Search this field only where others, which stand before it in the space, take one of these values;
    elsewhere it stays as `trainer` has it."""


class Range(Configuration):
    """A field of `trainer` that takes a number from a range: a whole one where all that is given is whole."""

    min: int | float
    """The lowest value."""
    max: int | float
    """The highest value."""
    step: int | float | None = None
    """From one value to the next: a difference, with `log` a factor. Without it any number may come."""
    log: bool = False
    """Make every order of magnitude equally likely, rather than every number."""
    when: dict[str, tuple[Value, ...]] = Field(default={})
    """As for choices."""

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return all(isinstance(number, int) for number in (self.min, self.max, self.step or 1))

    @model_validator(mode="after")
    def _has_something_between_its_ends(self) -> Self:
        if self.min >= self.max:
            raise ValueError(f"min ({self.min}) must be below max ({self.max})")
        if self.log and self.min <= 0:
            raise ValueError(f"a range with log needs a min above 0, got {self.min}")
        if self.step is not None and self.step <= (1 if self.log else 0):
            raise ValueError(f"step must be above {1 if self.log else 0}, got {self.step}")
        return self


def _kind(written: Any) -> str:
    """Which way to write a dimension this is, so that what is wrong with it is said in terms of that way."""
    if isinstance(written, (list, tuple)):
        several = bool(written) and all(isinstance(part, (dict, Configuration)) for part in written)
        return "several" if several else "values"
    if isinstance(written, Choices) or (isinstance(written, dict) and "choices" in written):
        return "choices"
    return "range"


Dimension = Annotated[
    Annotated[Choices, Tag("choices")] | Annotated[Range, Tag("range")], Discriminator(_kind)
]
Searched = Annotated[
    Annotated[tuple[Value, ...], Field(min_length=1), Tag("values")]
    | Annotated[Choices, Tag("choices")]
    | Annotated[Range, Tag("range")]
    | Annotated[tuple[Dimension, ...], Tag("several")],
    Discriminator(_kind),
]


_OF_USERS: Final = ("full_softmax", "reconstruction")
_OF_RATINGS: Final = ("in_batch_softmax", "sampled_softmax", "bpr")
_WITH_NEGATIVES: Final = ("sampled_softmax", "bpr")
"""Losses that read a user at a time, those that read a rating at a time, and of these the ones that draw
other movies."""


class TunerConfig(Configuration):
    """How hyperparameters are searched."""

    enabled: bool = False
    """Whether to search at all; otherwise the Trainer gets its configuration as it is."""
    algorithm: Literal["hyperband", "bayesian", "random"] = "hyperband"
    """`hyperband` tries many configurations for a few epochs and goes on with the best third of them;
    `bayesian` draws next what a Gaussian process expects most of; `random` draws."""
    epochs: int = Field(default=30, ge=1)
    """Most epochs of a trial."""
    factor: int = Field(default=3, ge=2)
    """Of Hyperband: one in so many trials goes on, for so many times the epochs."""
    max_trials: int = Field(default=10, ge=1)
    """Configurations that `bayesian` and `random` try; with Hyperband it follows from epochs and factor."""
    minutes: float | None = Field(default=None, gt=0)
    """After so many no further trial begins, and the search ends with those that run; the same search with
    more time goes on from there. No limit if not given."""
    workers: int = Field(default=1, ge=1)
    """Processes on this machine that try configurations at the same time."""
    space: dict[str, Searched] = Field(
        min_length=1,
        default={
            "model.loss": (*_OF_USERS, *_OF_RATINGS),
            "model.temperature": Range(
                min=0.05, max=0.5, log=True, when={"model.loss": ("full_softmax", *_OF_RATINGS)}
            ),
            "model.negatives": Choices(choices=(64, 256, 1024), when={"model.loss": _WITH_NEGATIVES}),
            "model.dimension": (64, 128, 256, 512),
            "model.user_tower.use_id": (False, True),
            "model.user_tower.use_history": (False, True),
            "model.user_tower.history_dropout": Range(
                min=0.0, max=0.6, step=0.1, when={"model.user_tower.use_history": (True,)}
            ),
            "model.user_tower.share_movie_embedding": Choices(
                choices=(False, True), when={"model.user_tower.use_history": (True,)}
            ),
            "model.*_tower.hidden": ((), (128,), (256,), (512,)),
            "model.*_tower.dropout": Range(
                min=0.1, max=0.4, step=0.1, when={"model.*_tower.hidden": ((128,), (256,), (512,))}
            ),
            # Users a step, or ratings a step.
            "batch_size": (
                Choices(choices=(64, 128, 256, 512, 1024), when={"model.loss": _OF_USERS}),
                Choices(choices=(256, 512, 1024, 4096), when={"model.loss": _OF_RATINGS}),
            ),
            "learning_rate": (
                Range(min=1e-4, max=2e-2, log=True, when={"model.loss": ("reconstruction",)}),
                Range(min=1e-4, max=1e-2, log=True, when={"model.loss": ("full_softmax", *_OF_RATINGS)}),
            ),
            "weight_decay": Range(min=1e-5, max=1e-3, log=True),
        },
    )
    """What is searched, by the dotted name of a field of `trainer`: a list of values, a range, or several
    of them with `when`. A `*` stands for any name in its place, so that `model.*_tower.dropout` gives both
    towers the same value."""

    @property
    def dimensions(self) -> dict[str, tuple[Choices | Range, ...]]:
        """The space with every way to write a dimension brought into one."""
        return {name: _dimensions(searched) for name, searched in self.space.items()}

    @model_validator(mode="after")
    def _conditions_can_be_met(self) -> Self:
        before: dict[str, tuple[Value, ...]] = {}
        for name, dimensions in self.dimensions.items():
            for dimension in dimensions:
                for other, values in dimension.when.items():
                    if other not in before:
                        raise ValueError(
                            f"space.{name}: when.{other} must be a list of values that stands before it"
                        )
                    if missing := [value for value in values if value not in before[other]]:
                        raise ValueError(f"space.{name}: when.{other}: {missing[0]!r} is no choice of it")
            if len(dimensions) == 1 and isinstance(dimensions[0], Choices):
                before[name] = dimensions[0].choices
        return self


def _dimensions(searched: Any) -> tuple[Choices | Range, ...]:
    if isinstance(searched, Choices | Range):
        return (searched,)
    if isinstance(searched[0], Choices | Range):
        return tuple(searched)
    return (Choices(choices=searched),)
