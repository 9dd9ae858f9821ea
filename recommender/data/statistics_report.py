"""Statistics as files: one for programs, one for a person."""

from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, select_autoescape

from recommender.data.statistics import Statistics
from recommender.data.statistics_charts import charts
from recommender.data.written_whole import written_whole

PAGE: Final = "statistics.html"


def write_statistics(statistics: Statistics, folder: Path) -> None:
    """Write `statistics.json`, and `statistics.html` with tables and charts that open without a network."""
    pages = Environment(loader=PackageLoader("recommender.data"), autoescape=select_autoescape(default=True))
    drawn = [
        {
            "title": chart.title,
            "how_to_read": chart.how_to_read,
            # The first chart carries plotly.js for all of them.
            "html": chart.figure.to_html(
                full_html=False,
                include_plotlyjs=position == 0,
                div_id=f"chart-{position}",
                config={"displaylogo": False, "displayModeBar": False, "responsive": True},
            ),
        }
        for position, chart in enumerate(charts(statistics))
    ]
    page = pages.get_template("statistics.html.j2").render(statistics=statistics, charts=drawn)
    with written_whole(folder) as finished:
        statistics.write(finished)
        (finished / PAGE).write_text(page, encoding="utf-8")
