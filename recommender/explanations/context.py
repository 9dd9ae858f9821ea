"""What a language model is told when it words an explanation: everything it may speak of, and no more."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from recommender.explanations.evidence import Evidence, Explainer, liked_movies
from recommender.explanations.wording import name_of
from recommender.release import History, Movie

FAVOURITE_GENRES: Final = 3
TAGS: Final = 5
RECENT: Final = 3
_LONGEST_NAME: Final = 120
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


@dataclass(frozen=True, slots=True)
class Context:
    """The facts of one explanation. Titles, genres and tags are data, whatever they say."""

    movie: Movie
    """The recommended movie."""
    favourite_genres: tuple[str, ...]
    """The genres that most of the liked movies have, most first."""
    mean_rating: float
    """The user's mean rating."""
    recent: tuple[tuple[Movie, float], ...]
    """What the user rated last, latest first, with the ratings."""
    nearest: tuple[tuple[Movie, float], ...]
    """The rated movies that add most to the score, most first, with the ratings."""
    tags: tuple[str, ...] = ()
    """What users most call the recommended movie, most given first."""

    @property
    def movies(self) -> list[Movie]:
        """Every movie that may be named."""
        return [self.movie, *(movie for movie, _ in (*self.nearest, *self.recent))]

    def as_mapping(self) -> dict[str, Any]:
        """The facts as plain values, titles as one says them."""
        return {
            "recommended": {
                "title": shown(name_of(self.movie)),
                "genres": [shown(genre) for genre in self.movie.genres],
                "mean_rating_of_all": None
                if self.movie.rating_mean is None
                else round(self.movie.rating_mean, 1),
                **({"tags": [shown(tag) for tag in self.tags]} if self.tags else {}),
            },
            "most_important_ratings": [_rated(movie, rating) for movie, rating in self.nearest],
            "recent_ratings": [_rated(movie, rating) for movie, rating in self.recent],
            "favourite_genres": [shown(genre) for genre in self.favourite_genres],
            "mean_rating": round(self.mean_rating, 1),
        }


def context_of(explainer: Explainer, evidence: Evidence, history: History) -> Context:
    """Gather the facts of one explanation.

    Args:
        explainer: Of the release.
        evidence: Of the recommended movie.
        history: What the user has rated, 1 movie or more of the release.
    """
    release = explainer.release
    known = np.flatnonzero(release.movie_positions(history.movie_ids) >= 0)
    genres = Counter(
        genre
        for movie_id in liked_movies(release, history).tolist()
        for genre in release.movie(movie_id).genres
    )
    ordered = sorted(genres, key=lambda genre: (-genres[genre], genre))
    return Context(
        movie=evidence.movie,
        favourite_genres=tuple(ordered[:FAVOURITE_GENRES]),
        mean_rating=float(history.ratings[known].mean()),
        recent=tuple(
            (release.movie(int(history.movie_ids[row])), float(history.ratings[row]))
            for row in known[::-1][:RECENT].tolist()
        ),
        nearest=tuple((ground.movie, ground.rating) for ground in evidence.grounds),
        tags=release.tags(evidence.movie.movie_id)[:TAGS],
    )


def shown(name: str) -> str:
    """A name on one line, without what is no character to see, and not too long."""
    return _CONTROL.sub(" ", name).strip()[:_LONGEST_NAME]


def _rated(movie: Movie, rating: float) -> dict[str, Any]:
    return {"title": shown(name_of(movie)), "genres": [shown(g) for g in movie.genres], "your_rating": rating}
