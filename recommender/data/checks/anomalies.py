"""What is wrong with ratings and movies, for a program and for a person."""

import shutil
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, PackageLoader, select_autoescape
from pydantic import BaseModel, ConfigDict

from recommender.data.checks.drift_measure import DriftMeasure
from recommender.data.written_whole import written_whole
from recommender.document import Document
from recommender.errors import DataError

Severity = Literal["error", "warning", "quarantined"]


class Anomaly(BaseModel):
    """One kind of thing that is wrong with one column."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: str
    """Such as `duplicate_rating`."""
    severity: Severity
    """An error stops the run, a warning does not, and what is quarantined is kept out of the run."""
    table: str
    """Such as `ratings.parquet`."""
    column: str
    count: int
    """Rows that are concerned; for duplicates pairs, or ids, that occur more than once; for inhuman speed
    users."""
    message: str
    rows: tuple[dict[str, Any], ...] = ()
    """The first few of these rows, with the file and the line they come from where that is known."""
    remedy: str

    def told(self) -> str:
        """What is wrong, where, and an example."""
        example = f", such as {told_row(self.rows[0])}" if self.rows else ""
        return f"{self.table}, {self.column}: {self.message}{example}."


class Quarantine(BaseModel):
    """The ratings that were kept out of the run; `quarantine.parquet` has them all."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    n_rows: int
    """Ratings with a reason to keep them out, and lines that could not be read."""
    n_by_reason: dict[str, int]
    """A row with two reasons counts under both."""
    share: float
    """n_rows / all rows, those that could not be read included."""
    max_share: float
    """Beyond this the run stops."""


class Anomalies(Document):
    """Everything that is wrong with a folder of examples."""

    file_name = "anomalies.json"
    written_by = "ExampleValidator"

    anomalies: tuple[Anomaly, ...] = ()
    quarantine: Quarantine | None = None
    """None where nothing is quarantined."""
    drift: tuple[DriftMeasure, ...] = ()
    """How far the ratings have moved since the previous run; nothing where there was none."""

    @property
    def errors(self) -> tuple[Anomaly, ...]:
        """The anomalies that stop a run."""
        return self._of("error")

    @property
    def warnings(self) -> tuple[Anomaly, ...]:
        """The anomalies that a run goes on with."""
        return self._of("warning")

    @property
    def quarantined(self) -> tuple[Anomaly, ...]:
        """The anomalies whose rows are kept out of the run."""
        return self._of("quarantined")

    def _of(self, severity: Severity) -> tuple[Anomaly, ...]:
        return tuple(anomaly for anomaly in self.anomalies if anomaly.severity == severity)

    def raise_for_errors(self, report: Path | None = None, *, can_quarantine: bool = False) -> None:
        """Stop if there is an error.

        Args:
            report: The folder that has the rest, if there is one.
            can_quarantine: Whether to say that bad rows can be kept out of a run.

        Raises:
            DataError: lists every error with its count, an example and what to do.
        """
        if not self.errors:
            return
        lines = [f"Kinds of error in the examples: {len(self.errors)}"]
        lines += [f"- {error.told()} {error.remedy}" for error in self.errors]
        if can_quarantine:
            lines.append(
                "Or set validation.quarantine=true, which goes on without bad rows as long as they are few."
            )
        if report is not None:
            lines.append(f"{report / 'anomalies.html'} has the first rows of each kind.")
        raise DataError("\n".join(lines))


def told_row(row: dict[str, Any]) -> str:
    """A row of an anomaly in words: where it comes from, then its values."""
    values = dict(row)
    file, line = values.pop("file", None), values.pop("line", None)
    place = [str(file)] if file is not None else []
    if line is not None:
        place.append(f"line {line}")
    told = ", ".join(f"{name} {'(missing)' if value is None else value}" for name, value in values.items())
    return f"{', '.join(place)}: {told}" if place else told


def write_anomalies(anomalies: Anomalies, folder: Path, quarantined: Path | None = None) -> None:
    """Write `anomalies.json` and `anomalies.html`.

    Args:
        anomalies: What is wrong.
        folder: Where to write.
        quarantined: A file with the rows that are kept out of the run, to be moved there, too.
    """
    pages = Environment(loader=PackageLoader("recommender.data"), autoescape=select_autoescape(default=True))
    page = pages.get_template("anomalies.html.j2").render(anomalies=anomalies, told_row=told_row)
    with written_whole(folder) as finished:
        anomalies.write(finished)
        (finished / "anomalies.html").write_text(page, encoding="utf-8")
        if quarantined is not None:
            shutil.move(quarantined, finished / quarantined.name)
