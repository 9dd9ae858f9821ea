"""Throws away what a language model says beyond what it was told."""

import re
from collections.abc import Iterable
from itertools import chain
from typing import Final, Literal

from recommender.explanations.context import Context, shown
from recommender.explanations.wording import name_of
from recommender.release import Movie

LONGEST: Final = 600
"""Characters of an explanation."""
_TITLE: Final = "\N{OBJECT REPLACEMENT CHARACTER}"
_YEAR: Final = re.compile(r"\b(1[89]|20)\d\d(?=\b|s\b)")
_YEAR_LAST: Final = re.compile(r" \((?:1[89]|20)\d\d\)$")
_QUOTED: Final = re.compile(r"\"[^\"]*\w|(?<!\w)'[^'\n]*\w[^'\n]*'(?!\w)")
_QUOTED_TITLE: Final = re.compile(rf"([\"'])({_TITLE})([.,;!?]?)\1")
_MARKUP: Final = re.compile(r"https?:|www\.|[<>{}\[\]`#*|\\_~^=]|[\x00-\x1f]")
_WORD: Final = re.compile(rf"[^\W\d_][\w'-]*|{_TITLE}")
_COUNTED: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBER: Final = (
    rf"(?<![\w.,])(?P<number>\d+(?:[.,]\d+)?)(?!\w)(?P<stars>[- ]?stars?\b)?"
    rf"|\b(?P<counted>{'|'.join(_COUNTED)})(?=[- ]stars?\b)"
)
_SENTENCE_END: Final = r"(?P<end>[.!?](?=\s|$))"
_BEGINS: Final = re.compile(r"[.!?:;\u2013\u2014-]\s*$|^\s*$")
_PLAIN_QUOTES: Final = str.maketrans("\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb", '\'\'"""""')
_STARTERS: Final = frozenset(
    re.findall(
        r"\S+",
        "a also an and as at based because both but fans for from given here however if in it its just like "
        "many most much not one other our people perfect since so some that the their then there these they "
        "this those though three to two we what when while who with yes you you'd you'll you're you've your ",
    )
)
"""What a sentence may begin with besides a title: no one-word title hides among them."""


Refused = Literal["invented", "nonsense", "timeout", "rate_limited", "unreachable"]
"""Why a language model's answer is not used."""


class WordingError(Exception):
    """A language model's answer that is not used.

    Attributes:
        reason: Why.
        said: As much of it as came.
    """

    def __init__(self, reason: Refused, said: str = "") -> None:
        super().__init__(reason)
        self.reason: Final = reason
        self.said: Final = said


class Guard:
    """Passes sentences that name nothing but the movies they may name.

    Names are known by how they are written: in quotes, or with a capital inside a sentence. Whatever is
    written so must be a title or a genre of the context, a year must be that of one of its movies, and a
    sentence begins with a title or with one of a few plain words. A number must be one of the context's, and
    where it counts stars, the rating of the movies that it is said of. That refuses honest sentences, too,
    which costs nothing but the model's words.

    Args:
        context: What may be spoken of.

    Attributes:
        titles: How titles may be written, longest first.
    """

    def __init__(self, context: Context) -> None:
        self.titles: Final = _written(context.movies)
        self._recommended: Final = _any_of(_written([context.movie]))
        genres = {shown(genre) for movie in context.movies for genre in movie.genres}
        self._title: Final = _any_of(self.titles)
        self._genre: Final = _any_of(sorted(genres | set(context.favourite_genres), key=len, reverse=True))
        self._years: Final = {movie.release_year for movie in context.movies}
        self._ratings: Final = _ratings_of(context)
        self._numbers: Final = {*chain(*self._ratings.values()), round(context.mean_rating, 1)} | self._years
        self._told: Final = re.compile(
            f"(?P<title>{self._title.pattern})|{_NUMBER}|{_SENTENCE_END}", re.IGNORECASE
        )

    def check(self, text: str) -> None:
        """Refuse a text, or a part of one that ends with a sentence.

        Raises:
            WordingError: it names what it may not, or is no plain sentence.
        """
        if len(text) > LONGEST:
            raise WordingError("nonsense")
        masked = self._title.sub(_TITLE, text.translate(_PLAIN_QUOTES))
        if _MARKUP.search(masked):
            raise WordingError("nonsense")
        masked = self._genre.sub(_TITLE, masked)
        for found in _YEAR.finditer(masked):
            is_decade = masked[found.end() : found.end() + 1] == "s"
            years = {year // 10 * 10 if is_decade else year for year in self._years if year is not None}
            if int(found.group()) not in years:
                raise WordingError("invented")
        masked = _QUOTED_TITLE.sub(r"\2\3", masked)
        if _QUOTED.search(masked):
            raise WordingError("invented")
        for found in _WORD.finditer(masked):
            word = found.group()
            begins = _BEGINS.search(masked[: found.start()]) is not None
            if word == _TITLE or word in ("I", "TV") or (word[0].islower() and not begins):
                continue
            if not begins or word.casefold() not in _STARTERS:
                raise WordingError("invented")
        self._check_numbers(text.translate(_PLAIN_QUOTES))

    def check_whole(self, text: str) -> None:
        """Refuse a whole explanation.

        Raises:
            WordingError: as `check`; or it does not name the recommended movie, or breaks off.
        """
        self.check(text)
        if not self._recommended.search(text.translate(_PLAIN_QUOTES)) or not re.search(
            r"[.!?][\"”']?$", text.strip()
        ):
            raise WordingError("nonsense")

    def ends(self, text: str) -> int:
        """Where the last finished sentence of a text that still grows ends; 0 where none is finished."""
        text = text.translate(_PLAIN_QUOTES)
        masked = self._title.sub(lambda found: _TITLE * len(found.group()), text)
        ends = [
            found.start() + 1
            for found in re.finditer(r"[.!?](?=\s)", masked)
            if not self._is_inside(text[: found.start() + 1])
        ]
        return ends[-1] if ends else 0

    def _check_numbers(self, text: str) -> None:
        """Stars are those of the movies named before them since the last ones, else of the next movie."""
        named: list[str] = []
        waiting: float | None = None
        for found in self._told.finditer(text):
            if found["end"]:
                named, waiting = [], None
            elif title := found["title"]:
                if waiting is not None and not self._is_rated(title, waiting):
                    raise WordingError("invented")
                named, waiting = ([] if waiting is not None else [*named, title]), None
            else:
                counted = found["counted"]
                value = (
                    float(_COUNTED.index(counted.casefold()))
                    if counted
                    else float(found["number"].replace(",", "."))
                )
                if value not in self._numbers:
                    raise WordingError("invented")
                if counted or found["stars"]:
                    if not all(self._is_rated(title, value) for title in named):
                        raise WordingError("invented")
                    named, waiting = [], None if named else value

    def _is_rated(self, title: str, value: float) -> bool:
        return value in self._ratings.get(title.casefold(), ())

    def _is_inside(self, text: str) -> bool:
        """Whether a text ends within a title that has not come whole yet."""
        folded = text.casefold()
        return any(
            folded.endswith(title[:length].casefold())
            for title in self.titles
            for length in range(1, len(title))
            if title[length - 1] in ".!?"
        )


def _written(movies: Iterable[Movie]) -> list[str]:
    """How the titles of some movies may be written, longest first."""
    full = {shown(title) for movie in movies for title in (movie.title, name_of(movie))}
    full = {title.translate(_PLAIN_QUOTES) for title in full}
    titles = full | {_YEAR_LAST.sub("", title) for title in full}
    return sorted((title for title in titles if title), key=len, reverse=True)


def _ratings_of(context: Context) -> dict[str, set[float]]:
    """The user's ratings of rated movies and everybody's mean of the recommended one, by written title."""
    mean = context.movie.rating_mean
    rated = [(context.movie, None if mean is None else round(mean, 1)), *context.nearest, *context.recent]
    ratings: dict[str, set[float]] = {}
    for movie, rating in rated:
        for title in _written([movie]):
            ratings.setdefault(title.casefold(), set()).update(() if rating is None else (rating,))
    return ratings


def _any_of(names: Iterable[str]) -> re.Pattern[str]:
    """Any of some names as whole words, whatever their case."""
    pattern = "|".join(re.escape(name) for name in names)
    return re.compile(rf"(?<!\w)(?:{pattern})(?!\w)" if pattern else "(?!)", re.IGNORECASE)
