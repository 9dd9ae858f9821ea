import pytest

from recommender.errors import DataError
from recommender.features.vocabulary import Vocabulary, genre_index, movie_genres, movie_index


def test_genres_are_numbered_by_name(tables):
    _, movies = tables([])

    rows = genre_index(movies).order_by("genre_index").to_pyarrow().to_pylist()

    assert [(row["genre"], row["genre_index"]) for row in rows] == [
        ("Action", 0),
        ("Comedy", 1),
        ("Drama", 2),
        ("War", 3),
    ]


def test_a_genre_named_twice_in_a_movie_counts_once(tables):
    _, movies = tables([])

    rows = movie_genres(movies).to_pyarrow().to_pylist()

    assert [row["genre"] for row in rows if row["movie_id"] == 5] == ["War"]


def test_movies_are_numbered_by_id(tables):
    _, movies = tables([], [(30, [], None), (4, [], None), (11, [], None)])

    rows = movie_index(movies).to_pyarrow().to_pylist()

    assert {row["movie_id"]: row["movie_index"] for row in rows} == {4: 0, 11: 1, 30: 2}


def test_a_written_vocabulary_comes_back(tmp_path):
    vocabulary = Vocabulary(genres=("Drama", "Film-Noir"), n_users=3, n_movies=9)

    vocabulary.write(tmp_path)

    assert Vocabulary.read(tmp_path) == vocabulary


def test_a_missing_vocabulary_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match="run Transform again"):
        Vocabulary.read(tmp_path)
