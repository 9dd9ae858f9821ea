import math

import pytest

from recommender.data.statistics import Statistics, compute_statistics, write_statistics
from recommender.errors import DataError

Y1997, Y2000 = 852_076_800, 946_684_800  # 1 January of each, UTC
RATINGS = [
    (1, 10, 4.0, Y1997),
    (1, 20, 2.0, Y1997 + 5),
    (1, 30, 3.0, Y2000 - 1),
    (2, 10, 5.0, Y2000),
    (2, 20, 4.0, Y2000 + 1),
    (3, 10, 3.0, Y2000 + 2),
]
MOVIES = [(10, ["Comedy", "Drama"], 1990), (20, ["Drama"], 1991), (30, [], None), (40, ["War"], 1992)]


@pytest.fixture
def examples(tmp_path, write_examples):
    return write_examples(tmp_path / "examples", RATINGS, MOVIES)


def test_counts_and_means_agree_with_arithmetic_by_hand(examples):
    statistics = compute_statistics(examples)

    assert (statistics.n_users, statistics.n_movies, statistics.n_ratings) == (3, 3, 6)
    assert statistics.n_catalogue_movies == 4
    assert statistics.sparsity == pytest.approx(1 - 6 / (3 * 3))
    assert statistics.avg_rating == pytest.approx((4 + 2 + 3 + 5 + 4 + 3) / 6)
    # Squared distances from 3.5: .25 + 2.25 + .25 + 2.25 + .25 + .25 = 5.5
    assert statistics.rating_std == pytest.approx(math.sqrt(5.5 / 6))


def test_histogram_genres_and_years_count_every_rating(examples):
    statistics = compute_statistics(examples)

    assert [(bar.rating, bar.count) for bar in statistics.rating_histogram] == [
        (2, 1),
        (3, 2),
        (4, 2),
        (5, 1),
    ]
    assert [(genre.genre, genre.n_movies, genre.n_ratings) for genre in statistics.genres] == [
        ("Comedy", 1, 3),
        ("Drama", 2, 5),
        ("War", 1, 0),
    ]
    assert [(year.year, year.n_ratings) for year in statistics.ratings_per_year] == [
        (1997, 2),
        (1999, 1),
        (2000, 3),
    ]


def test_spread_over_users_and_gini_over_movies_agree_with_arithmetic_by_hand(examples):
    statistics = compute_statistics(examples)

    users = statistics.ratings_per_user
    assert (users.minimum, users.median, users.maximum, users.mean) == (1, 2, 3, 2)
    assert users.p75 == pytest.approx(2.5)
    # Movies have 1, 2 and 3 ratings: mean distance of all ordered pairs, over twice the mean.
    distances = (abs(1 - 2) + abs(1 - 3) + abs(2 - 3)) * 2 / 9
    assert statistics.movie_popularity_gini == pytest.approx(distances / (2 * 2))


def test_more_than_a_hundred_values_are_counted_in_ranges(tmp_path, write_examples):
    ratings = [(1, movie, movie / 100, Y1997) for movie in range(1, 301)]
    movies = [(movie, [], None) for movie in range(1, 301)]

    histogram = compute_statistics(write_examples(tmp_path / "fine", ratings, movies)).rating_histogram

    assert len(histogram) == 100
    assert sum(bar.count for bar in histogram) == 300


def test_missing_and_infinite_ratings_do_not_spoil_the_mean(tmp_path, write_examples):
    ratings = [(1, 10, 4.0, Y1997), (1, 20, math.nan, Y1997), (1, 30, None, Y1997), (1, 40, math.inf, Y1997)]

    statistics = compute_statistics(write_examples(tmp_path / "bad", ratings, MOVIES))

    assert (statistics.n_ratings, statistics.avg_rating, statistics.rating_std) == (4, 4.0, 0.0)


def test_no_rating_at_all_gives_statistics_of_nothing(tmp_path, write_examples):
    statistics = compute_statistics(write_examples(tmp_path / "empty", [], MOVIES))

    assert (statistics.n_ratings, statistics.avg_rating, statistics.movie_popularity_gini) == (0, None, None)
    write_statistics(statistics, tmp_path / "written")


def test_written_statistics_come_back_and_the_page_needs_no_network(examples, tmp_path):
    statistics = compute_statistics(examples)

    write_statistics(statistics, tmp_path / "out")

    assert Statistics.read(tmp_path / "out") == statistics
    page = (tmp_path / "out" / "statistics.html").read_text(encoding="utf-8")
    assert "<script src=" not in page
    assert page.count("Plotly.newPlot(") >= 4
    assert page.index("<table>") < page.index("Plotly.newPlot(")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"ratings\.parquet is missing"):
        compute_statistics(tmp_path)
