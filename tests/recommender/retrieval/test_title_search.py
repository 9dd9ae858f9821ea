"""Finding movies by title."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.retrieval.title_search import TitleSearch

TITLES = [
    "Matrix, The (1999)",
    "Matrix Reloaded, The (2003)",
    "Toy Story (1995)",
    "Toy Story 2 (1999)",
    "Spider-Man (2002)",
    "WALL·E (2008)",
    "Amelie (Fabuleux destin d'Amélie Poulain, Le) (2001)",
    "Lord of the Rings: The Fellowship of the Ring, The (2001)",
    "Lord of War (2005)",
    "Alien (1979)",
    "Aliens (1986)",
    "It (2017)",
    "As Good as It Gets (1997)",
    "Godfather, The (1972)",
    "Seven (a.k.a. Se7en) (1995)",
    "千と千尋の神隠し (2001)",
    "...",
]
COUNTS = np.array([900, 400, 800, 500, 300, 350, 280, 850, 90, 600, 550, 70, 200, 950, 650, 120, 1])
SEARCH = TitleSearch(TITLES, COUNTS)


def first(query: str) -> str | None:
    found = SEARCH.find(query)
    return TITLES[found[0]] if len(found) else None


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("toystory", "Toy Story (1995)"),
        ("lord ofwar", "Lord of War (2005)"),
        ("The Matrix", "Matrix, The (1999)"),
        ("Matrix, The", "Matrix, The (1999)"),
        ("the matirx", "Matrix, The (1999)"),
        ("matr", "Matrix, The (1999)"),
        ("matrix 2003", "Matrix Reloaded, The (2003)"),
        ("relaoded matrix", "Matrix Reloaded, The (2003)"),
        ("toy story", "Toy Story (1995)"),
        ("toy story 2", "Toy Story 2 (1999)"),
        ("spiderman", "Spider-Man (2002)"),
        ("spider man", "Spider-Man (2002)"),
        ("Spider-Man", "Spider-Man (2002)"),
        ("wall-e", "WALL·E (2008)"),
        ("WALLE", "WALL·E (2008)"),
        ("Amélie", "Amelie (Fabuleux destin d'Amélie Poulain, Le) (2001)"),
        ("destin d\u2019amelie", "Amelie (Fabuleux destin d'Amélie Poulain, Le) (2001)"),
        ("lord of teh rings", "Lord of the Rings: The Fellowship of the Ring, The (2001)"),
        ("alien", "Alien (1979)"),
        ("aliens", "Aliens (1986)"),
        ("it", "It (2017)"),
        ("godfahter", "Godfather, The (1972)"),
        ("se7en", "Seven (a.k.a. Se7en) (1995)"),
        ("千と千尋の神隠し", "千と千尋の神隠し (2001)"),
        ("quite another thing", None),
        ("?!", None),
        ("", None),
    ],
)
def test_a_title_is_found_as_it_is_typed(query: str, title: str | None) -> None:
    assert first(query) == title


def test_what_many_have_rated_comes_first_among_titles_as_much_alike() -> None:
    names = ["Storm (1990)", "Storm (2001)", "Storm (1950)"]
    assert TitleSearch(names, np.array([5, 100, 20])).find("storm").tolist() == [1, 2, 0]
    assert TitleSearch(names, np.array([5, 5, 5])).find("storm").tolist() == [0, 1, 2]


def test_no_titles_are_no_mistake() -> None:
    assert TitleSearch([], np.array([], np.int64)).find("matrix").tolist() == []


@given(st.text(max_size=100))
def test_whatever_is_typed_is_answered(query: str) -> None:
    found = SEARCH.find(query).tolist()
    assert len(set(found)) == len(found) <= len(TITLES)


@given(st.sampled_from([title for title in TITLES if len(title) > 10]), st.data())
def test_every_title_is_found_by_itself_with_two_letters_swapped(title: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(title) - 2))
    swapped = title[:place] + title[place + 1] + title[place] + title[place + 2 :]
    assert TITLES.index(title) in SEARCH.find(title)[:2]
    if title[place].isalpha() and title[place + 1].isalpha():
        assert TITLES.index(title) in SEARCH.find(swapped)
