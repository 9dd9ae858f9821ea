"""From examples to validated examples: everything that is wrong at once, and what becomes of it."""

import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from ibis.backends.sql import SQLBackend
from ibis.expr import types as ir
from pydantic import Field

from recommender.configuration import Configuration
from recommender.counted import counted
from recommender.data.canonical_tables import REPEATED_FILE, UNREADABLE_FILE
from recommender.data.checks.anomalies import Anomalies, Anomaly, Quarantine, write_anomalies
from recommender.data.checks.cross_checks import (
    check_duplicate_movies,
    check_duplicate_ratings,
    check_speed,
    check_unknown_movies,
    repeating_users,
    unknown_movies,
)
from recommender.data.checks.drift import DriftConfig, check_drift, measure_drift
from recommender.data.checks.drift_measure import DriftMeasure
from recommender.data.checks.first_rows import first_rows
from recommender.data.checks.quarantine import (
    QUARANTINE_FILE,
    UNREADABLE,
    sort_out,
    write_quarantine,
)
from recommender.data.checks.row_checks import check_rows, movie_checks, rating_checks
from recommender.data.checks.structure_checks import check_structure, usable_columns
from recommender.data.columns import Columns
from recommender.data.engine import (
    MOVIES_FILE,
    RATINGS_FILE,
    EngineConfig,
    movies_table,
    open_engine,
    ratings_table,
    read_table,
    write_parquet,
)
from recommender.data.fingerprints import table_fingerprint
from recommender.data.output_errors import told_of_output
from recommender.data.schema import PROVENANCE, Schema
from recommender.data.source_report import SourceReport
from recommender.data.statistics import Statistics
from recommender.data.written_whole import written_whole

_logger = logging.getLogger(__name__)

# Clocks differ; a rating from this afternoon is no broken timestamp.
_TOLERANCE: Final = timedelta(days=1)


class ValidationConfig(Configuration):
    """What becomes of ratings that are not as the schema says."""

    quarantine: bool = False
    """Keep bad ratings, and rows that cannot be read, out of the run and in `quarantine.parquet`, with their
    reasons; otherwise they stop it. Wrong columns and bad movies always do."""
    max_quarantined_share: float = Field(default=0.001, ge=0, le=1)
    """Under `quarantine`: if more than this share of the rows is bad, the run stops after all."""
    max_ratings_per_hour: int = Field(default=1000, ge=1)
    """Users with more ratings in one hour are reported as no humans, which is only ever a warning. In
    MovieLens people tick off what they know on pages full of movies: up to 715 an hour in 1M."""
    drift: DriftConfig = Field(default_factory=DriftConfig)
    """How much may change since the previous run."""


@dataclass(frozen=True)
class _Check:
    """What to check, and by what."""

    engine: SQLBackend
    examples: Path
    schema: Schema
    config: ValidationConfig
    previous: Statistics | None
    statistics: Statistics | None
    now: datetime
    files: tuple[str, ...]
    """Names for the numbers in `source_file`."""

    def run(self, quarantine_file: Path) -> tuple[Anomalies, ir.Table | None]:
        """Find what is wrong, and write the bad ratings to a file if they are to be quarantined.

        Returns:
            What is wrong; and the ratings that are left, None if all are.
        """
        engine, schema, files = self.engine, self.schema, self.files
        ratings, movies = ratings_table(engine, self.examples), movies_table(engine, self.examples)
        columns = {**schema.ratings, **PROVENANCE}
        stopping = [
            *check_structure(ratings, columns, RATINGS_FILE),
            *check_structure(movies, schema.movies, MOVIES_FILE),
            *_check_not_empty(ratings),
        ]
        ratings, movies = usable_columns(ratings, columns), usable_columns(movies, schema.movies)
        newest = int((self.now + _TOLERANCE).timestamp())
        checks = tuple(rating_checks(ratings, schema, newest))
        bad = list(check_rows(ratings, checks, RATINGS_FILE, files))
        stopping += check_rows(movies, movie_checks(movies, schema), MOVIES_FILE, files)
        also: list[Anomaly] = []
        repeating = unknown = None
        if {Columns.USER_ID, Columns.MOVIE_ID} <= set(ratings.columns):
            repeating = repeating_users(ratings)
            bad += check_duplicate_ratings(ratings, repeating, files)
        if Columns.MOVIE_ID in movies.columns:
            stopping += check_duplicate_movies(movies, files)
            if Columns.MOVIE_ID in ratings.columns:
                unknown = unknown_movies(ratings, movies)
                bad += check_unknown_movies(ratings, unknown, files)
        if {Columns.USER_ID, Columns.TIMESTAMP} <= set(ratings.columns):
            also += check_speed(ratings, self.config.max_ratings_per_hour, files)
        unreadable = self._put_aside(UNREADABLE_FILE)
        bad += _check_unreadable(unreadable, files)
        also += _check_repeated(self._put_aside(REPEATED_FILE), files)
        drift: tuple[DriftMeasure, ...] = ()
        if self.previous is not None and self.statistics is not None:
            compared = self.statistics, self.previous, self.config.drift
            drift = tuple(measure_drift(*compared))
            also += check_drift(*compared)
        stops = any(anomaly.severity == "error" for anomaly in (*stopping, *also))
        if not bad or stops or not self.config.quarantine:
            return Anomalies(anomalies=(*stopping, *bad, *also), drift=drift), None
        bad = [anomaly.model_copy(update={"severity": "quarantined"}) for anomaly in bad]
        failed = [c for c in checks if (c.kind, c.column) in {(a.kind, a.column) for a in bad}]
        parts = sort_out(engine, ratings, failed, unknown, repeating, quarantine_file.parent)
        counts = write_quarantine(engine, parts.rejected, unreadable, files, quarantine_file)
        n_rows = counts.pop("")
        n_all = _count(ratings) + (0 if unreadable is None else _count(unreadable))
        quarantine = Quarantine(
            n_rows=n_rows,
            n_by_reason=dict(sorted(counts.items())),
            share=n_rows / n_all,
            max_share=self.config.max_quarantined_share,
        )
        too_many = _check_share(quarantine, n_all)
        anomalies = Anomalies(
            anomalies=(*stopping, *too_many, *bad, *also), quarantine=quarantine, drift=drift
        )
        return anomalies, None if parts.rejected is None else parts.accepted

    def _put_aside(self, name: str) -> ir.Table | None:
        """A table of rows that ExampleGen put aside, None if there are none."""
        file = self.examples / name
        return read_table(self.engine, file) if file.is_file() else None


def validate_examples(
    examples: Path,
    schema: Schema,
    *,
    config: ValidationConfig | None = None,
    engine: EngineConfig | None = None,
    previous: Statistics | None = None,
    statistics: Statistics | None = None,
    now: datetime | None = None,
) -> Anomalies:
    """Check ratings and movies against a schema, all inside the table engine.

    Columns and types come first; values are then checked in the columns that have the right type.

    Args:
        examples: Folder with `ratings.parquet` and `movies.parquet`, and whatever else ExampleGen writes.
        schema: What they must look like.
        config: What becomes of bad ratings, and thresholds.
        engine: What computes.
        previous: Statistics of the previous run, to compare `statistics` with.
        statistics: Of all these examples, bad ones included.
        now: Ratings more than a day later than this are in the future.

    Raises:
        DataError: a file is missing or is not Parquet.
    """
    with tempfile.TemporaryDirectory() as scratch, _opened(engine, Path(scratch)) as tables:
        check = _check(tables, examples, schema, config, previous, statistics, now)
        return check.run(Path(scratch) / QUARANTINE_FILE)[0]


def write_validated_examples(
    examples: Path,
    schema: Schema,
    report: Path,
    output: Path,
    *,
    config: ValidationConfig | None = None,
    engine: EngineConfig | None = None,
    previous: Statistics | None = None,
    statistics: Statistics | None = None,
    now: datetime | None = None,
) -> Anomalies:
    """Check examples as `validate_examples` does, report, and pass on those that can be used.

    Args:
        examples: Folder with `ratings.parquet` and `movies.parquet`, and whatever else ExampleGen writes.
        schema: What they must look like.
        report: Gets `anomalies.json` and `anomalies.html`, and `quarantine.parquet` if anything is
            quarantined: for each row `reasons` (list of text), `file`, `line`, the canonical columns, and
            `field`, `value` and `problem` of what could not be read.
        output: Gets the files of `examples`, hard links where that is possible. If ratings are quarantined,
            `ratings.parquet` and `source.json` are without them.
        config: What becomes of bad ratings, and thresholds.
        engine: What computes.
        previous: Statistics of the previous run, to compare `statistics` with.
        statistics: Of all these examples, bad ones included.
        now: Ratings more than a day later than this are in the future.

    Raises:
        DataError: a file is missing or is not Parquet; or there are errors, of which each is named, with its
            count, an example and what to do. The report is written nevertheless, `output` is not. Or `report`
            or `output` cannot be written to.
    """
    started = time.perf_counter()
    report = report.absolute()
    with told_of_output(report):
        report.parent.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(dir=report.parent, prefix=f".{report.name}-") as scratch,
            _opened(engine, Path(scratch)) as tables,
        ):
            quarantine_file = Path(scratch) / QUARANTINE_FILE
            anomalies, accepted = _check(tables, examples, schema, config, previous, statistics, now).run(
                quarantine_file
            )
            write_anomalies(anomalies, report, quarantine_file if anomalies.quarantine else None)
            _logger.info(
                "Kinds of error: %d, of warning: %d. %.1f s",
                *(len(anomalies.errors), len(anomalies.warnings), time.perf_counter() - started),
            )
            for warning in anomalies.warnings:
                _logger.warning("%s %s", warning.told(), warning.remedy)
            anomalies.raise_for_errors(report, can_quarantine=not _quarantines(config))
            with told_of_output(output), written_whole(output) as finished:
                for file in examples.iterdir():
                    if file.is_file():
                        _link(file, finished / file.name)
                if accepted is not None:
                    assert anomalies.quarantine is not None
                    _replace_ratings(tables, accepted, anomalies.quarantine, finished)
    if anomalies.quarantine is not None:
        _logger.warning("%s", _told(anomalies.quarantine))
    return anomalies


def _quarantines(config: ValidationConfig | None) -> bool:
    return config is not None and config.quarantine


@contextmanager
def _opened(engine: EngineConfig | None, scratch: Path) -> Iterator[SQLBackend]:
    tables = open_engine(engine, scratch=scratch / "spill")
    try:
        yield tables
    finally:
        tables.disconnect()


def _check(
    engine: SQLBackend,
    examples: Path,
    schema: Schema,
    config: ValidationConfig | None,
    previous: Statistics | None,
    statistics: Statistics | None,
    now: datetime | None,
) -> _Check:
    # A folder made by hand has no report.
    has_report = (examples / SourceReport.file_name).is_file()
    files = SourceReport.read(examples).files if has_report else ()
    config, now = config or ValidationConfig(), now or datetime.now(UTC)
    return _Check(engine, examples, schema, config, previous, statistics, now, files)


def _check_not_empty(ratings: ir.Table) -> Iterator[Anomaly]:
    if not _count(ratings):
        yield Anomaly(
            kind="no_ratings",
            severity="error",
            table=RATINGS_FILE,
            column=Columns.RATING,
            count=0,
            message="there are no ratings",
            remedy="Check the source that ExampleGen was given.",
        )


def _check_unreadable(unreadable: ir.Table | None, files: Sequence[str]) -> Iterator[Anomaly]:
    if unreadable is not None and (count := _count(unreadable)):
        yield Anomaly(
            kind=UNREADABLE,
            severity="error",
            table=UNREADABLE_FILE,
            column="value",
            count=count,
            message=f"{counted(count, 'row')} that ExampleGen could not read",
            rows=first_rows(unreadable, files),
            remedy="Mend or remove these rows at the source.",
        )


def _check_repeated(repeated: ir.Table | None, files: Sequence[str]) -> Iterator[Anomaly]:
    if repeated is not None and (count := _count(repeated)):
        yield Anomaly(
            kind="repeated_rating",
            severity="warning",
            table=REPEATED_FILE,
            column=Columns.MOVIE_ID,
            count=count,
            message=f"{counted(count, 'rating')} gave way to another of the same movie by the same user",
            rows=first_rows(repeated, files),
            remedy=f"The last by time is used; {REPEATED_FILE} has the others.",
        )


def _check_share(quarantine: Quarantine, n_all: int) -> Iterator[Anomaly]:
    if quarantine.share > quarantine.max_share or quarantine.n_rows == n_all:
        yield Anomaly(
            kind="too_many_quarantined",
            severity="error",
            table=RATINGS_FILE,
            column=Columns.RATING,
            count=quarantine.n_rows,
            message=(
                f"{quarantine.n_rows:,} of {n_all:,} rows are bad, {quarantine.share:.3%}, and no more than "
                f"{quarantine.max_share:.3%} may be quarantined"
            ),
            remedy=(
                f"Mend the source ({QUARANTINE_FILE} has every bad row), or raise "
                "validation.max_quarantined_share."
            ),
        )


def _told(quarantine: Quarantine) -> str:
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in quarantine.n_by_reason.items())
    return f"Quarantined {counted(quarantine.n_rows, 'row')} ({quarantine.share:.3%}): {reasons}."


def _count(table: ir.Table) -> int:
    return int(table.count().to_pyarrow().as_py())


def _link(file: Path, target: Path) -> None:
    try:
        os.link(file, target)
    except OSError:
        shutil.copyfile(file, target)


def _replace_ratings(engine: SQLBackend, accepted: ir.Table, quarantine: Quarantine, folder: Path) -> None:
    """Put other ratings in the place of those that are linked in a folder, and correct its report."""
    file = folder / RATINGS_FILE
    file.unlink()
    kept = write_parquet(engine, accepted, file, (Columns.USER_ID, Columns.TIMESTAMP, Columns.MOVIE_ID))
    if not (folder / SourceReport.file_name).is_file():
        return
    report = SourceReport.read(folder)
    counts = kept.aggregate(
        n_ratings=kept.count(),
        n_users=kept[Columns.USER_ID].nunique(),
        n_rated_movies=kept[Columns.MOVIE_ID].nunique(),
    ).to_pyarrow()
    corrected = report.model_copy(
        update={
            **counts.to_pylist()[0],
            "ratings_sha256": table_fingerprint(file, Columns.RATINGS),
            "notes": (*report.notes, _told(quarantine)),
        }
    )
    (folder / SourceReport.file_name).unlink()
    corrected.write(folder)
