"""A chart, and how it comes to stand on a page that opens without a network."""

from collections.abc import Iterable
from dataclasses import dataclass

import plotly.graph_objects as go


@dataclass(frozen=True)
class Chart:
    """A figure, what it shows, and how to read it."""

    title: str
    how_to_read: str
    figure: go.Figure

    def titled(self) -> go.Figure:
        """The figure with its title on it, for where nothing stands above it, such as a notebook."""
        figure = go.Figure(self.figure)
        figure.update_layout(title=self.title, margin={"t": 60})
        return figure


def drawn(charts: Iterable[Chart]) -> list[dict[str, str]]:
    """What a page's template needs of its charts: `title`, `how_to_read` and `html` of each."""
    return [
        {
            "title": chart.title,
            "how_to_read": chart.how_to_read,
            # The first chart carries plotly.js for all of them.
            "html": drawing(chart.figure, f"chart-{position}", with_plotly=position == 0),
        }
        for position, chart in enumerate(charts)
    ]


def drawing(figure: go.Figure, name: str, *, with_plotly: bool = True) -> str:
    """A figure as HTML.

    Args:
        figure: What to draw.
        name: Of the element, once a page.
        with_plotly: Whether to bring plotly.js, which a page needs once, before its first figure.
    """
    html: str = figure.to_html(
        full_html=False,
        include_plotlyjs=with_plotly,
        div_id=name,
        config={"displaylogo": False, "displayModeBar": False, "responsive": True},
    )
    return html
