"""The values that a rating can take."""

from typing import Self

from pydantic import model_validator

from recommender.configuration import Configuration


class RatingScale(Configuration):
    """From the lowest to the highest rating, in steps."""

    min: float
    max: float
    step: float | None = None
    """Ratings are `min` plus whole multiples of this; none if any value between is one."""

    @model_validator(mode="after")
    def _is_a_scale(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"the lowest rating, {self.min:g}, is above the highest, {self.max:g}")
        if self.step is not None and self.step <= 0:
            raise ValueError(f"step {self.step:g} is not above 0")
        return self


HALF_STARS = RatingScale(min=0.5, max=5.0, step=0.5)
"""The scale of MovieLens since 2003."""
