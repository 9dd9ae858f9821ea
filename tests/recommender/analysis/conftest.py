"""Ratings small enough to count by hand, as tables of an engine."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ibis.expr import types as ir

from recommender.data.engine import movies_table, open_engine, ratings_table


class Tables(NamedTuple):
    """Of one folder of examples."""

    ratings: ir.Table
    movies: ir.Table


@pytest.fixture
def tables(write_examples: Any, tmp_path: Path) -> Iterator[Callable[..., Tables]]:
    """From rows of ratings, and of `movie_id, genres, release_year`, to tables."""
    engine = open_engine()

    def of(ratings: list[tuple[Any, ...]], movies: list[tuple[Any, ...]] | None = None) -> Tables:
        rated = sorted({row[1] for row in ratings})
        listed = movies or [(movie, [], None) for movie in rated]
        folder = write_examples(tmp_path / "examples", ratings, listed)
        return Tables(ratings_table(engine, folder), movies_table(engine, folder))

    yield of
    engine.disconnect()
