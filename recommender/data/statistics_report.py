"""Statistics as files: one for programs, one for a person."""

from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, select_autoescape

from recommender.chart import drawn
from recommender.data.statistics import Statistics
from recommender.data.statistics_charts import charts
from recommender.data.written_whole import written_whole

PAGE: Final = "statistics.html"


def write_statistics(statistics: Statistics, folder: Path) -> None:
    """Write `statistics.json`, and `statistics.html` with tables and charts that open without a network."""
    pages = Environment(loader=PackageLoader("recommender.data"), autoescape=select_autoescape(default=True))
    page = pages.get_template("statistics.html.j2").render(
        statistics=statistics, charts=drawn(charts(statistics))
    )
    with written_whole(folder) as finished:
        statistics.write(finished)
        (finished / PAGE).write_text(page, encoding="utf-8")
