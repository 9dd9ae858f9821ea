"""One number that says how far ratings have moved since the previous run."""

from pydantic import BaseModel, ConfigDict


class DriftMeasure(BaseModel):
    """How far one thing has moved, and how far it may."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: str
    """Such as `count_drift`; also that of the anomaly where it has moved too far."""
    column: str
    """What has moved, such as `n_users` or `genres`."""
    words: str
    """What was before, what is now, and the change."""
    change: float
    """How far: a share, standard deviations, or a total variation distance."""
    limit: float
    """From where on it is too far."""

    @property
    def is_too_far(self) -> bool:
        """Whether it is reported as an anomaly."""
        return abs(self.change) > self.limit
