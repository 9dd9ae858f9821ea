import logging
from collections.abc import Iterator

import pytest


@pytest.fixture
def library_log() -> Iterator[None]:
    """Steps own their process, and set the library's log up as if it were theirs."""
    library = logging.getLogger("recommender")
    before = library.handlers, library.level, library.propagate
    yield
    library.handlers, library.level, library.propagate = before
