"""The default wording says what the evidence says, and nothing else."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.explanations.evidence import Evidence, RatedGround
from recommender.explanations.likings import Liking
from recommender.explanations.wording import because, name_of
from recommender.release import Movie

GENRES = ["Sci-Fi", "Horror", "Drama", "Own Genre"]


def movie(number: int, title: str, genres: tuple[str, ...] = (), year: int | None = None) -> Movie:
    return Movie(number, title, genres, year, 10, 3.5)


def ground(of: Movie, rating: float, adds: float, to: Movie, people: Liking | None = None) -> RatedGround:
    years = (of.release_year, to.release_year)
    return RatedGround(
        movie=of,
        rating=rating,
        liked=rating >= 3.5,
        by_retrieval=adds,
        by_neighbours=0.0,
        shared_genres=tuple(genre for genre in to.genres if genre in of.genres),
        years_apart=None if None in years else abs(years[0] - years[1]),
        people=people,
    )


def evidence(of: Movie, *grounds: RatedGround) -> Evidence:
    return Evidence(of, 1.0, tuple(grounds), 0.0, {})


STALKER = movie(1, "Stalker (1979)", ("Sci-Fi", "Drama"), 1979)
ALIEN = movie(2, "Alien (1979)", ("Sci-Fi", "Horror"), 1979)
BLADE_RUNNER = movie(3, "Blade Runner (1982)", ("Sci-Fi",), 1982)


def sentences(*grounds: RatedGround) -> set[str]:
    return {because(evidence(replace(STALKER, movie_id=number), *grounds)) for number in range(200)}


def test_the_ways_to_say_that_two_movies_of_one_kind_and_time_were_rated_alike() -> None:
    said = sentences(ground(ALIEN, 5, 0.5, STALKER), ground(BLADE_RUNNER, 5, 0.4, STALKER))
    assert (
        "Because you rated Alien (1979) and Blade Runner (1982) 5 stars; both are science fiction of its time"
        in said
    )
    assert all(re.search("lien .1979. and Blade Runner .1982.", sentence) for sentence in said)
    assert len(said) == 4


def test_different_ratings_are_not_said_to_be_the_same() -> None:
    said = sentences(ground(ALIEN, 5, 0.5, STALKER), ground(BLADE_RUNNER, 4.5, 0.4, STALKER))
    assert said
    assert not any("star" in sentence for sentence in said)


def test_what_was_not_liked_is_not_said_to_be() -> None:
    said = sentences(ground(ALIEN, 2, 0.5, STALKER), ground(BLADE_RUNNER, 5, 0.4, STALKER))
    assert {sentence.partition(";")[0] for sentence in said} == {
        "Because you have seen Alien (1979)",
        "You have seen Alien (1979)",
    }


def test_what_adds_little_is_not_named_beside_what_adds_much() -> None:
    said = sentences(ground(ALIEN, 5, 0.5, STALKER), ground(BLADE_RUNNER, 5, 0.2, STALKER))
    assert all("Blade Runner" not in sentence for sentence in said)


def test_people_are_worth_a_word_where_most_agree() -> None:
    most, few = Liking(40, 30), Liking(40, 29)
    said = sentences(ground(ALIEN, 5, 0.5, STALKER, most))
    assert any(
        sentence.endswith("; 30 of the 40 who liked it and rated this one liked both") for sentence in said
    )
    assert not any("29" in sentence for sentence in sentences(ground(ALIEN, 5, 0.5, STALKER, few)))


def test_nothing_is_named_where_no_movie_stands_out() -> None:
    assert sentences() == {"Chosen from your ratings as a whole"}


movies = st.builds(
    movie,
    st.integers(1, 50),
    st.sampled_from(
        ["Heat (1995)", "Matrix, The (1999)", "Boot, Das (1981)", "Up", "M; and all, too (1931)"]
    ),
    st.lists(st.sampled_from(GENRES), max_size=3, unique=True).map(tuple),
    st.none() | st.integers(1930, 2000),
)
stars = st.integers(1, 10).map(lambda half: half / 2)


@given(
    of=movies,
    named=st.lists(st.tuples(movies, stars, st.floats(0.1, 1)), min_size=1, max_size=3),
)
@pytest.mark.filterwarnings("error")
def test_every_sentence_is_true_of_its_evidence(of: Movie, named: list[tuple[Movie, float, float]]) -> None:
    named.sort(key=lambda each: -each[2])
    grounds = [ground(other, rating, adds, of) for other, rating, adds in named]
    said = because(evidence(of, *grounds))
    assert said == because(evidence(of, *grounds))
    first, second = grounds[0], grounds[1] if len(grounds) > 1 else None
    both = second is not None and f"{name_of(first.movie)} and {name_of(second.movie)}" in said
    told = [first, second] if both else [first]
    assert name_of(first.movie) in said
    assert len(said) < 200
    if "liked" in said or "rated" in said:
        assert all(each.liked for each in told)
    rating = re.search(r" ([\d.]+) stars?\b", said)
    if rating:
        assert {each.rating for each in told} == {float(rating.group(1))}
    if said.endswith((" of its time", " of the same time")):
        assert all(abs(each.movie.release_year - of.release_year) <= 7 for each in told)
    for genre, words in (
        ("Sci-Fi", "science fiction"),
        ("Horror", "horror movie"),
        ("Own Genre", "Own Genre"),
    ):
        if words in said:
            assert all(genre in each.movie.genres for each in told)
            assert genre in of.genres
