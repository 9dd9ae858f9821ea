"""Why a movie is recommended, in a sentence."""

import re
import zlib
from collections.abc import Sequence
from typing import Final

from recommender.explanations.evidence import Evidence, RatedGround
from recommender.release import Movie

SAID: Final = 2
"""Most rated movies that a sentence names."""
_FAINT: Final = 0.5
"""Of the strongest contribution: what adds less than this is not named beside it."""
_MOST: Final = 0.75
"""Share of people from which on they are worth a word."""
_AS_THEY_ARE: Final = {
    "Action": ("an action movie", "action movies"),
    "Adventure": ("an adventure", "adventures"),
    "Animation": ("animated", "animated"),
    "Children": ("for children", "for children"),
    "Children's": ("for children", "for children"),
    "Comedy": ("a comedy", "comedies"),
    "Crime": ("a crime story", "crime stories"),
    "Documentary": ("a documentary", "documentaries"),
    "Drama": ("a drama", "dramas"),
    "Fantasy": ("a fantasy", "fantasies"),
    "Film-Noir": ("film noir", "film noir"),
    "Horror": ("a horror movie", "horror movies"),
    "Musical": ("a musical", "musicals"),
    "Mystery": ("a mystery", "mysteries"),
    "Romance": ("a romance", "romances"),
    "Sci-Fi": ("science fiction", "science fiction"),
    "Thriller": ("a thriller", "thrillers"),
    "War": ("a war movie", "war movies"),
    "Western": ("a Western", "Westerns"),
}
"""What one movie, or several, of a genre are; genres that are not here are named as the source has them."""

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


def because(evidence: Evidence) -> str:
    """Why a movie was recommended, by what added most to its score.

    The same evidence gets the same sentence; other movies get others, where there are several ways to say it.
    """
    if not evidence.grounds:
        return because_you_liked([])
    strongest = evidence.grounds[0]
    said = [
        ground
        for ground in evidence.grounds[:SAID]
        if ground.liked == strongest.liked and ground.contribution >= _FAINT * strongest.contribution
    ]
    spoken = ",".join(f"{ground.movie.movie_id}:{ground.rating:g}" for ground in said)
    choice = zlib.crc32(f"{evidence.movie.movie_id},{spoken}".encode())
    openings, additions = _openings(said), _additions(said)
    sentence = openings[choice % len(openings)]
    if additions:
        sentence += f"; {additions[choice // len(openings) % len(additions)]}"
    return sentence


def _openings(said: Sequence[RatedGround]) -> list[str]:
    names = _joined([name_of(ground.movie) for ground in said])
    if not said[0].liked:
        return [f"Because you have seen {names}", f"You have seen {names}"]
    openings = [f"Because you liked {names}", f"You liked {names}"]
    if len({ground.rating for ground in said}) == 1:
        stars = f"{said[0].rating:g} {'star' if said[0].rating == 1 else 'stars'}"
        openings += [f"Because you rated {names} {stars}", f"You rated {names} {stars}"]
    return openings


def _additions(said: Sequence[RatedGround]) -> list[str]:
    """What else is true of all movies that are named."""
    several = len(said) > 1
    shared = [genre for genre in said[0].shared_genres if all(genre in each.shared_genres for each in said)]
    time = ""
    if all(ground.is_of_its_time for ground in said):
        time = " of its time" if several else " of the same time"
    additions = []
    for genre in shared:
        what = _AS_THEY_ARE.get(genre, (f"listed under {genre}",) * 2)[several]
        additions.append(f"{'both are' if several else 'it is'} {what}{time or ', too'}")
    people = said[0].people
    if said[0].liked and people is not None and people.liked >= _MOST * people.rated:
        whom = "it" if len(said) == 1 else name_of(said[0].movie)
        additions.append(
            f"{people.liked:,} of the {people.rated:,} who liked {whom} and rated this one liked both"
        )
    return additions


def because_you_liked(liked: Sequence[Movie]) -> str:
    """Why a movie was recommended, where nothing is known but which movies are like it.

    >>> alien = Movie(1, "Alien", (), 1979, 0, None)
    >>> because_you_liked([alien, Movie(2, "Blade Runner (1982)", (), 1982, 0, None)])
    'Because you liked Alien (1979) and Blade Runner (1982)'
    """
    if not liked:
        return "Chosen from your ratings as a whole"
    return f"Because you liked {_joined([name_of(movie) for movie in liked])}"


def _joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def because_popular(movie: Movie) -> str:
    """Why a movie was recommended to somebody of whom nothing is known.

    >>> because_popular(Movie(1, "Alien", (), 1979, 1200, 4.1))
    'Popular: rated by 1,200 people'
    """
    people = "1 person" if movie.rating_count == 1 else f"{movie.rating_count:,} people"
    return f"Popular: rated by {people}"
