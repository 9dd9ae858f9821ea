"""Why a movie is recommended, in a sentence."""

import re
from collections.abc import Sequence

from recommender.release import Movie

_ARTICLE_LAST = re.compile(
    r"^(?P<name>.+?), (?P<article>The|An?|Le|La|Les|El|Los|Las|Il|Der|Die|Das)(?= \(|$)"
)


def name_of(movie: Movie) -> str:
    """A movie's title as one says it, with its year, once.

    >>> name_of(Movie(1, "Matrix, The (1999)", (), 1999, 0, None))
    'The Matrix (1999)'
    """
    title = _ARTICLE_LAST.sub(r"\g<article> \g<name>", movie.title)
    if movie.release_year is None or title.endswith(f"({movie.release_year})"):
        return title
    return f"{title} ({movie.release_year})"


def because_you_liked(liked: Sequence[Movie]) -> str:
    """Why a movie was recommended from a user's vector.

    >>> alien = Movie(1, "Alien", (), 1979, 0, None)
    >>> because_you_liked([alien, Movie(2, "Blade Runner (1982)", (), 1982, 0, None)])
    'Because you liked Alien (1979) and Blade Runner (1982)'
    """
    if not liked:
        return "Chosen from your ratings as a whole"
    names = [name_of(movie) for movie in liked]
    if len(names) == 1:
        return f"Because you liked {names[0]}"
    return f"Because you liked {', '.join(names[:-1])} and {names[-1]}"


def because_popular(movie: Movie) -> str:
    """Why a movie was recommended to somebody of whom nothing is known.

    >>> because_popular(Movie(1, "Alien", (), 1979, 1200, 4.1))
    'Popular: rated by 1,200 people'
    """
    people = "1 person" if movie.rating_count == 1 else f"{movie.rating_count:,} people"
    return f"Popular: rated by {people}"
