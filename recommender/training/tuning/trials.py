"""What a search tried and what it gave."""

import csv
from pathlib import Path
from typing import Literal

from recommender.configuration import Configuration
from recommender.document import Document
from recommender.training.tuning.configuration import Value

_CSV = "trials.csv"


class Trial(Configuration):
    """One configuration that was tried."""

    name: str
    """A number, in the order of their start."""
    status: Literal["completed", "failed"]
    """Whether there is a score."""
    score: float | None
    """The best validation NDCG@10."""
    epochs: int
    """Most epochs that the trial had."""
    seconds: float | None
    """How long it took."""
    continues: str | None
    """The trial of fewer epochs that Hyperband chose this configuration from."""
    values: dict[str, Value]
    """What was set, by the names of the space."""


class Trials(Document):
    """All trials of a search, in the order of their start, and what the search started from."""

    file_name = "trials.json"
    written_by = "`marquee tune`"

    algorithm: str
    """How it searched."""
    names: tuple[str, ...]
    """The names of the space."""
    trials: tuple[Trial, ...]
    """The trials."""
    start: Trial
    """The configuration that the search started from, fitted as the Trainer would; no trial of the search."""

    @property
    def better_than_start(self) -> bool:
        """Whether the best trial is worth changing the configuration for."""
        best = self.ranked()[0].score
        return best is not None and best > (self.start.score or 0.0)

    def ranked(self) -> list[Trial]:
        """The best first, those that failed last."""
        return sorted(self.trials, key=lambda trial: (trial.score is None, -(trial.score or 0.0)))

    def write(self, folder: Path) -> Path:
        """Write `trials.json`, whose path is returned, and `trials.csv`."""
        written = super().write(folder)
        with (folder / _CSV).open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(["trial", "status", "val_ndcg@10", "epochs", "seconds", "continues", *self.names])
            for trial in (*self.trials, self.start):
                numbers = [trial.score, trial.epochs, trial.seconds, trial.continues]
                values = [shown(trial.values.get(name)) for name in self.names]
                table.writerow([trial.name, trial.status, *numbers, *values])
        return written


def shown(value: Value | None) -> str:
    """A value as a person reads it, as in YAML; nothing for none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return str(value)


def shown_score(trial: Trial) -> str:
    """The score of a trial as a person reads it."""
    return "failed" if trial.score is None else f"{trial.score:.4f}"


def shown_seconds(trial: Trial) -> str:
    """How long a trial took, in whole seconds; nothing where it failed."""
    return "" if trial.seconds is None else f"{trial.seconds:.0f}"
