"""Why a movie is recommended: evidence and wording."""

from typing import cast

import numpy as np
import pytest

from recommender.explanations.evidence import find_evidence, liked_movies
from recommender.explanations.wording import because_popular, because_you_liked, name_of
from recommender.release import History, Movie, Release, positions_of

MOVIE_IDS = np.array([1, 2, 3, 4, 5])
VECTORS = np.float32([[1, 0], [0.8, 0.6], [0, 1], [-1, 0], [0.6, 0.8]])


class Movies:
    """A release of movies."""

    movie_vectors = VECTORS
    highest_rating = 5.0

    def movie_positions(self, movie_ids: np.ndarray) -> np.ndarray:
        return positions_of(movie_ids, MOVIE_IDS)


RELEASE = cast("Release", Movies())


def rated(**ratings: float) -> History:
    return History(
        np.array([int(name[1:]) for name in ratings], dtype=np.int64),
        np.array(list(ratings.values()), dtype=np.float32),
        np.arange(len(ratings)),
    )


def test_liked_is_at_the_users_average_or_above_best_first() -> None:
    # The average of 5, 4, 4 and 2 is 3.75; of the two 4s the later one comes first.
    np.testing.assert_array_equal(liked_movies(RELEASE, rated(m1=5, m2=4, m3=4, m4=2)), [1, 3, 2])


@pytest.mark.parametrize(("rating", "liked"), [(3.0, []), (3.5, [1, 2]), (3.7, [1, 2])])
def test_what_was_rated_low_was_not_liked(rating: float, liked: list[int]) -> None:
    assert sorted(liked_movies(RELEASE, rated(m1=rating, m2=rating)).tolist()) == liked


def test_movies_that_left_the_catalogue_are_no_evidence() -> None:
    np.testing.assert_array_equal(liked_movies(RELEASE, rated(m1=5, m99=5)), [1])


def test_evidence_is_most_similar_first() -> None:
    # Movie 5 is (0.6, 0.8): 0.6 to movie 1, 0.6 x 0.8 + 0.8 x 0.6 = 0.96 to movie 2, 0.8 to movie 3.
    assert find_evidence(RELEASE, rated(m1=5, m2=5, m3=5), np.array([5])) == [[2, 3]]
    assert find_evidence(RELEASE, rated(m1=5, m2=5, m3=5), np.array([5]), at_most=3) == [[2, 3, 1]]


def test_what_speaks_against_or_hardly_for_is_no_evidence() -> None:
    # To movie 1: movie 4 has -1, movie 3 has 0; to movie 2: movie 1 has 0.8, movie 3 has 0.6.
    assert find_evidence(RELEASE, rated(m3=5, m4=5), np.array([1])) == [[]]
    assert find_evidence(RELEASE, rated(m1=5, m3=5), np.array([2])) == [[1, 3]]


def test_who_has_rated_nothing_has_no_evidence() -> None:
    assert find_evidence(RELEASE, rated(), np.array([2, 5])) == [[], []]
    assert find_evidence(RELEASE, rated(m1=5), np.array([], dtype=np.int64)) == []


def movie(title: str, year: int | None = None, count: int = 0) -> Movie:
    return Movie(1, title, (), year, count, None)


@pytest.mark.parametrize(
    ("title", "year", "name"),
    [
        ("Alien", 1979, "Alien (1979)"),
        ("Alien (1979)", 1979, "Alien (1979)"),
        ("Alien", None, "Alien"),
        ("Matrix, The (1999)", 1999, "The Matrix (1999)"),
        ("Matrix, The", 1999, "The Matrix (1999)"),
        ("American in Paris, An (1951)", 1951, "An American in Paris (1951)"),
        ("Boot, Das (Boat, The) (1981)", 1981, "Das Boot (Boat, The) (1981)"),
        ("Run, Piotr, Run (1994)", 1994, "Run, Piotr, Run (1994)"),
        ("Theory, Then Practice", None, "Theory, Then Practice"),
    ],
)
def test_a_movie_is_named_as_one_says_it(title: str, year: int | None, name: str) -> None:
    assert name_of(movie(title, year)) == name


def test_reasons_are_sentences() -> None:
    a, b, c = movie("Alien", 1979), movie("Blade Runner (1982)", 1982), movie("Casablanca")
    assert because_you_liked([]) == "Chosen from your ratings as a whole"
    assert because_you_liked([a]) == "Because you liked Alien (1979)"
    assert because_you_liked([a, b]) == "Because you liked Alien (1979) and Blade Runner (1982)"
    assert (
        because_you_liked([a, b, c]) == "Because you liked Alien (1979), Blade Runner (1982) and Casablanca"
    )
    assert because_popular(movie("A", count=1)) == "Popular: rated by 1 person"
    assert because_popular(movie("A", count=12345)) == "Popular: rated by 12,345 people"
