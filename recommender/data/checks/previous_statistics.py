"""The statistics of the last run that passed, kept for the next one to compare with."""

import logging
from pathlib import Path

from recommender.data.statistics import Statistics
from recommender.data.written_whole import written_whole
from recommender.errors import DataError

_logger = logging.getLogger(__name__)


def previous_statistics(folder: Path) -> Statistics | None:
    """The kept statistics; None before the first run, or where those of another version cannot be read."""
    if not (folder / Statistics.file_name).is_file():
        return None
    try:
        return Statistics.read(folder)
    except DataError as error:
        _logger.warning("Drift is not checked this time: %s", error)
        return None


def keep_statistics(statistics: Statistics, folder: Path) -> None:
    """Keep statistics in place of those of an earlier run.

    They are of all ratings that ExampleGen could read, also of those that were quarantined: the next run is
    compared before it is known which of its ratings stay.
    """
    with written_whole(folder) as finished:
        statistics.write(finished)
