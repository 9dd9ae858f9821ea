"""The values that a rating can take."""

from typing import Final, Self

from pydantic import Field, model_validator

from recommender.configuration import Configuration

_ROUNDING: Final = 1e-6


class RatingScale(Configuration):
    """From the lowest to the highest rating, in steps."""

    min: float = Field(examples=[0.5])
    """The lowest rating."""
    max: float = Field(examples=[5.0])
    """The highest rating."""
    step: float | None = Field(default=None, examples=[0.5])
    """Ratings are `min` plus whole multiples of this; none if any value between is one."""

    @model_validator(mode="after")
    def _is_a_scale(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"the lowest rating, {self.min:g}, is above the highest, {self.max:g}")
        if self.step is not None and self.step <= 0:
            raise ValueError(f"step {self.step:g} is not above 0")
        return self

    def holds(self, rating: float) -> bool:
        """Whether a rating is on the scale."""
        if not self.min <= rating <= self.max:
            return False
        if self.step is None:
            return True
        steps = (rating - self.min) / self.step
        return abs(steps - round(steps)) < _ROUNDING

    def in_words(self) -> str:
        """The scale as a person would say it."""
        return f"{self.min:g} to {self.max:g}" + (f" in steps of {self.step:g}" if self.step else "")


HALF_STARS = RatingScale(min=0.5, max=5.0, step=0.5)
"""The scale of MovieLens since 2003."""
