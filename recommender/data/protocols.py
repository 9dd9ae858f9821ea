"""Evaluation protocols: a name for what was split how, so that numbers can be compared."""

from dataclasses import dataclass
from typing import Final

from recommender.data.splits import SplitConfig


@dataclass(frozen=True)
class Protocol:
    """What a number stands for.

    Attributes:
        name: Such as `P-random`.
        split: How ratings are filtered and divided.
        refit: Whether a model may train on the validation part, too, before it is tested.
    """

    name: str
    split: SplitConfig
    refit: bool = True

    @property
    def option(self) -> str:
        """The name as one types it, such as `p-random`."""
        return self.name.lower()


PROTOCOLS: Final = (
    Protocol("P-random", SplitConfig()),
    Protocol("P-time-user", SplitConfig(strategy="time_user")),
    Protocol("P-time-global", SplitConfig(strategy="time_global")),
    # RecBole's table for MovieLens 1M: its models know the training part only, 8 ratings of 10.
    Protocol(
        "P-recbole", SplitConfig(min_rating=3.0, k_core=10, test_size=0.1, validation_size=1 / 9), refit=False
    ),
    # The Microsoft recommenders' table for MovieLens 100K, whose models train on 75 ratings of 100.
    Protocol("P-ms", SplitConfig(within="movie", test_size=0.25)),
)
"""Every protocol that has a name of its own."""


def protocol_name(split: SplitConfig) -> str:
    """The protocol of a split: its own name, or else that of its strategy, such as `P-leave-last-out`."""
    for protocol in PROTOCOLS:
        if protocol.split == split:
            return protocol.name
    within = "" if split.within == "user" else f"-within-{split.within}"
    return f"P-{split.strategy.replace('_', '-')}{within}"
