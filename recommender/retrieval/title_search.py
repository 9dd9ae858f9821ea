"""Finding movies by title, however it is typed."""

import re
import sys
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import OSA

from recommender.release import Release

_WORD: Final = re.compile(r"\w+(?:[-'\u2019.·&]\w+)*")
_LAST_LETTER: Final = chr(sys.maxunicode)
_PART: Final = re.compile(r"\w+")
_MOST_WORDS: Final = 12
"""Words of a query that count; no title needs more."""
_ALIKE: Final = 0.7
"""Least likeness of two words that may be one mistyped: 2 of 7 letters wrong, or 1 of 4."""
_BEGUN: Final = 0.9
"""Likeness of a word to one that begins with it, plus what is there of the rest."""
_FOUND: Final = 0.7
"""Least likeness of a query to a title."""
_COMMON_SHARE: Final = 0.02
"""Share of all titles from which on a word such as "the" says little."""
_COMMON_WEIGHT: Final = 0.2
_LENGTH_WEIGHT: Final = 0.05
_POPULARITY_WEIGHT: Final = 0.05


class TitleSearch:
    """Finds titles by their words, in any order, with letters missing, wrong, swapped or still to come.

    A title is as like a query as the query's words are to the title's most similar ones, by the optimal
    string alignment distance (Damerau 1964), longer words counting more. Among titles equally alike those
    come first that say little else, and that many have rated.

    Args:
        titles: as in the source: "Matrix, The (1999)" is found as "the matrix" and as "matrix 1999".
        rating_counts: int64 [titles], how many people rated each movie.
    """

    def __init__(self, titles: Iterable[str], rating_counts: NDArray[np.int64]) -> None:
        places: dict[str, list[int]] = {}
        lengths = []
        self._joined: list[str] = []
        for row, title in enumerate(titles):
            words = dict.fromkeys(_words(title))
            lengths.append(sum(len(word) for word in words if not word.isdigit()))
            self._joined.append(
                "".join(word for word in _words(title, joined_only=True) if not _is_year(word))
            )
            for word in words:
                places.setdefault(word, []).append(row)
        self._n_titles = len(lengths)
        self._vocabulary = sorted(places)
        counts = np.array([len(places[word]) for word in self._vocabulary], np.int64)
        self._splits = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self._rows = np.array([row for word in self._vocabulary for row in places[word]], np.int32)
        self._word_lengths = np.array([len(word) for word in self._vocabulary], np.float32)
        self._is_common = counts > max(10, _COMMON_SHARE * self._n_titles)
        self._lengths = np.maximum(np.array(lengths, np.float32), 1)
        popularity = np.log1p(rating_counts).astype(np.float32)
        self._bonus = _POPULARITY_WEIGHT * popularity / max(float(popularity.max(initial=0.0)), 1.0)

    @classmethod
    def of_release(cls, release: Release) -> Self:
        """The movies of a release."""
        return cls(release.titles, release.movie_rating_counts)

    def find(self, query: str) -> NDArray[np.int64]:
        """The titles like a query.

        Args:
            query: as somebody types it; one without a letter or digit finds nothing.

        Returns:
            int64 [found], rows of the titles, most alike first, the lower row first among equals.
        """
        words = list(dict.fromkeys(_words(query, joined_only=True)))[:_MOST_WORDS]
        if not words or not self._vocabulary:
            return np.empty(0, np.int64)
        alike = process.cdist(
            words,
            self._vocabulary,
            scorer=OSA.normalized_similarity,
            score_cutoff=_ALIKE,
            dtype=np.float32,
        )
        total, weights = np.zeros(self._n_titles, np.float32), 0.0
        for word, likeness in zip(words, alike, strict=True):
            first, last = (bisect_left(self._vocabulary, end) for end in (word, word + _LAST_LETTER))
            begun = _BEGUN + (1 - _BEGUN) * len(word) / self._word_lengths[first:last]
            np.maximum(likeness[first:last], begun, out=likeness[first:last])
            is_common = first < last and self._vocabulary[first] == word and self._is_common[first]
            weight = len(word) * (_COMMON_WEIGHT if is_common else 1.0)
            total += weight * self._of_titles(likeness)
            weights += weight
        total /= weights
        found = np.flatnonzero(total >= _FOUND)
        if not len(found):
            # Spaces may be missing, or be where there are none.
            total = self._of_joined("".join(words))
            found = np.flatnonzero(total)
        asked = sum(len(word) for word in words)
        scores = total[found] + self._bonus[found]
        scores += _LENGTH_WEIGHT * np.minimum(asked / self._lengths[found], 1)
        return found[np.argsort(-scores, kind="stable")]

    def _of_joined(self, query: str) -> NDArray[np.float32]:
        """How like each title is to a query where neither has spaces, float32 [titles], 0 below `_FOUND`."""
        alike = process.cdist(
            [query], self._joined, scorer=OSA.normalized_similarity, score_cutoff=_FOUND, dtype=np.float32
        )
        likeness: NDArray[np.float32] = alike[0]
        return likeness

    def _of_titles(self, likeness: NDArray[np.float32]) -> NDArray[np.float32]:
        """The largest likeness among each title's words, float32 [titles]."""
        words = np.flatnonzero(likeness)
        # The most similar last: of several values for one title, the last one stays.
        words = words[np.argsort(likeness[words], kind="stable")]
        counts = self._splits[words + 1] - self._splits[words]
        begins = np.repeat(self._splits[words] - np.cumsum(counts) + counts, counts)
        best = np.zeros(self._n_titles, np.float32)
        best[self._rows[begins + np.arange(len(begins))]] = np.repeat(likeness[words], counts)
        return best


def _is_year(word: str) -> bool:
    return len(word) == 4 and word.isdigit()


def _words(text: str, *, joined_only: bool = False) -> Iterator[str]:
    """The words of a text, without accents and case; "spider-man" is three: its parts, and both as one."""
    decomposed = unicodedata.normalize("NFKD", text)
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter)).casefold()
    for whole in _WORD.findall(plain):
        parts = _PART.findall(whole)
        yield "".join(parts)
        if len(parts) > 1 and not joined_only:
            yield from parts
