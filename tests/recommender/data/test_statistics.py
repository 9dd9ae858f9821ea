import json
import math
from collections import Counter
from datetime import UTC, datetime
from itertools import combinations
from statistics import fmean, pstdev

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recommender.data.engine import EngineConfig
from recommender.data.statistics import Statistics, compute_statistics
from recommender.data.statistics_report import write_statistics
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
    assert (statistics.n_catalogue_movies, statistics.n_unrated_movies) == (4, 1)
    assert statistics.sparsity == pytest.approx(1 - 6 / (3 * 3))
    assert statistics.avg_rating == pytest.approx((4 + 2 + 3 + 5 + 4 + 3) / 6)
    # Squared distances from 3.5: .25 + 2.25 + .25 + 2.25 + .25 + .25 = 5.5
    assert statistics.rating_std == pytest.approx(math.sqrt(5.5 / 6))


def test_the_keys_that_were_asked_for_are_in_the_file(examples, tmp_path):
    write_statistics(compute_statistics(examples), tmp_path / "out")

    written = json.loads((tmp_path / "out" / "statistics.json").read_text(encoding="utf-8"))
    assert {"n_users", "n_movies", "n_ratings", "sparsity", "avg_rating", "rating_std"} <= written.keys()


def test_spread_gini_and_curve_agree_with_arithmetic_by_hand(examples):
    statistics = compute_statistics(examples)

    users, movies = statistics.ratings_per_user, statistics.ratings_per_movie
    assert (users.minimum, users.median, users.maximum, users.mean) == (1, 2, 3, 2)
    assert users.p75 == pytest.approx(2.5)
    assert (users.n_with_one, users.n_below_5) == (1, 3)
    # Movies have 1, 2 and 3 ratings: mean distance of all ordered pairs, over twice the mean.
    distances = (abs(1 - 2) + abs(1 - 3) + abs(2 - 3)) * 2 / 9
    assert movies.gini == pytest.approx(distances / (2 * 2))
    # Half of three movies is two of them: 3 + 2 of 6 ratings.
    held = {point.share: point.share_of_ratings for point in movies.curve}
    assert (held[0.33], held[0.5], held[1.0]) == pytest.approx((3 / 6, 5 / 6, 1.0))
    assert [(bar.low, bar.high, bar.count) for bar in movies.histogram] == [(1, 1, 1), (2, 4, 2)]


# Few values make users with equally many ratings, pairs of genres and hours that coincide.
ratings_tables = st.dictionaries(
    st.tuples(st.integers(1, 6), st.integers(1, 9)),
    st.tuples(
        st.one_of(st.integers(0, 50).map(lambda tenth: tenth / 10), st.none(), st.just(math.nan)),
        st.one_of(st.integers(0, 2_000_000_000), st.integers(Y2000, Y2000 + 7200), st.none(), st.just(-5)),
    ),
    min_size=1,
    max_size=30,
).map(lambda rows: [(*pair, *values) for pair, values in rows.items()])
movies_tables = st.lists(
    st.one_of(st.none(), st.lists(st.sampled_from(["Action", "Comedy", "Drama", "War"]), max_size=4)),
    min_size=9,
    max_size=12,
).map(lambda genres: [(movie, names, None) for movie, names in enumerate(genres, start=1)])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ratings=ratings_tables, movies=movies_tables)
def test_statistics_agree_with_a_computation_row_by_row(ratings, movies, tmp_path, write_examples):
    statistics = compute_statistics(write_examples(tmp_path / "made up", ratings, movies))

    usable = [row[2] for row in ratings if row[2] is not None and not math.isnan(row[2])]
    assert statistics.n_unusable_ratings == len(ratings) - len(usable)
    assert statistics.avg_rating == (pytest.approx(fmean(usable)) if usable else None)
    assert statistics.rating_std == (pytest.approx(pstdev(usable), abs=1e-9) if usable else None)
    assert {bar.rating: bar.count for bar in statistics.ratings.bars} == Counter(usable)

    for key, activity in ((0, statistics.ratings_per_user), (1, statistics.ratings_per_movie)):
        numbers = sorted(Counter(row[key] for row in ratings).values(), reverse=True)
        size, total = len(numbers), len(ratings)
        assert [point.share_of_ratings for point in activity.curve] == pytest.approx(
            [sum(numbers[: math.ceil(percent * size / 100)]) / total for percent in range(1, 101)]
        )
        distances = sum(abs(a - b) for a in numbers for b in numbers) / size**2
        assert activity.gini == pytest.approx(distances / (2 * fmean(numbers)))
        assert activity.n_with_one == numbers.count(1)
        assert activity.n_below_5 == sum(number < 5 for number in numbers)
        assert {bar.low: bar.count for bar in activity.histogram} | {1: 0, 2: 0, 5: 0, 10: 0, 20: 0} == {
            low: sum(low <= number <= high for number in numbers)
            for low, high in ((1, 1), (2, 4), (5, 9), (10, 19), (20, 49))
        } | {1: 0, 2: 0, 5: 0, 10: 0, 20: 0}
        assert sum(bar.count for bar in activity.histogram) == size

    genres = {movie: set(names or ()) for movie, names, _year in movies}
    for row in statistics.genres:
        of_genre = [rating for rating in ratings if row.genre in genres[rating[1]]]
        values = [value for *_ids, value, _time in of_genre if value is not None and not math.isnan(value)]
        assert row.n_movies == sum(row.genre in names for names in genres.values())
        assert row.n_ratings == len(of_genre)
        assert row.avg_rating == (pytest.approx(fmean(values)) if values else None)
    assert [row.genre for row in statistics.genres] == sorted(set().union(*genres.values()))
    pairs = Counter(pair for names in genres.values() for pair in combinations(sorted(names), 2))
    assert {(pair.genre, pair.other): pair.n_movies for pair in statistics.genre_pairs} == pairs

    times = [datetime.fromtimestamp(row[3], UTC) for row in ratings if row[3] is not None and row[3] >= 0]
    if all(row[3] is None for row in ratings):
        assert statistics.times is None
        return
    assert statistics.times.n_undated == len(ratings) - len(times)
    assert {row.month: row.n_ratings for row in statistics.times.per_month} == Counter(
        time.strftime("%Y-%m") for time in times
    )
    assert {row.year: row.n_ratings for row in statistics.times.per_year} == Counter(
        time.year for time in times
    )
    assert list(statistics.times.per_weekday) == [
        sum(time.weekday() == day for time in times) for day in range(7)
    ]
    assert list(statistics.times.per_hour) == [sum(time.hour == hour for time in times) for hour in range(24)]


def test_threads_do_not_change_a_byte(examples_folder):
    one, two = (compute_statistics(examples_folder, EngineConfig(threads=n)) for n in (1, 2))

    assert one.model_dump_json() == two.model_dump_json()


def test_more_than_a_hundred_values_are_counted_in_ranges_of_a_round_width(tmp_path, write_examples):
    ratings = [(1, movie, movie / 100, Y1997) for movie in range(1, 301)]
    movies = [(movie, [], None) for movie in range(1, 301)]

    histogram = compute_statistics(write_examples(tmp_path / "fine", ratings, movies)).ratings

    # 0.01 to 3.00 in ranges of 0.05: four in the first, one in the last, five in each between.
    assert histogram.width == 0.05
    assert [bar.count for bar in histogram.bars] == [4, *[5] * 59, 1]


def test_users_are_counted_by_their_mean_rating(tmp_path, write_examples):
    ratings = [(1, 10, 1.0, 0), (1, 20, 2.0, 0), (2, 10, 5.0, 0), (3, 10, 1.5, 0), (4, 10, None, 0)]

    means = compute_statistics(write_examples(tmp_path / "means", ratings, MOVIES)).user_means

    # Fifty bars at most between 1 and 5 make ranges of 0.1.
    assert means.width == 0.1
    assert {bar.rating: bar.count for bar in means.bars} == {1.5: 2, 5.0: 1}


def test_missing_and_infinite_ratings_do_not_spoil_the_mean(tmp_path, write_examples):
    ratings = [(1, 10, 4.0, Y1997), (1, 20, math.nan, Y1997), (1, 30, None, Y1997), (1, 40, math.inf, Y1997)]

    statistics = compute_statistics(write_examples(tmp_path / "bad", ratings, MOVIES))

    assert (statistics.n_ratings, statistics.n_unusable_ratings) == (4, 3)
    assert (statistics.avg_rating, statistics.rating_std) == (4.0, 0.0)


def test_a_stray_rating_beyond_all_bounds_is_only_a_strange_number(tmp_path, write_examples):
    ratings = [(1, 10, 4.0, Y1997), (1, 20, 1e12, Y1997)]

    statistics = compute_statistics(write_examples(tmp_path / "stray", ratings, MOVIES))

    assert statistics.avg_rating == pytest.approx(5e11)


def test_ratings_without_times_have_no_statistics_of_times(tmp_path, write_examples):
    ratings = [(user, movie, value, None) for user, movie, value, _time in RATINGS]

    statistics = compute_statistics(write_examples(tmp_path / "timeless", ratings, MOVIES))

    assert statistics.times is None
    write_statistics(statistics, tmp_path / "out")
    assert "Ratings by hour" not in (tmp_path / "out" / "statistics.html").read_text(encoding="utf-8")


def test_no_rating_at_all_gives_statistics_of_nothing(tmp_path, write_examples):
    statistics = compute_statistics(write_examples(tmp_path / "empty", [], MOVIES))

    assert (statistics.n_ratings, statistics.avg_rating, statistics.ratings_per_movie) == (0, None, None)
    write_statistics(statistics, tmp_path / "written")


def test_written_statistics_come_back_and_the_page_needs_no_network(examples, tmp_path):
    statistics = compute_statistics(examples)

    write_statistics(statistics, tmp_path / "out")

    assert Statistics.read(tmp_path / "out") == statistics
    page = (tmp_path / "out" / "statistics.html").read_text(encoding="utf-8")
    assert "<script src=" not in page
    assert page.count("Plotly.newPlot(") == page.count('class="how"') - 2 == 12
    assert page.index("<table>") < page.index("Plotly.newPlot(")


def test_text_from_the_data_cannot_become_markup(tmp_path, write_examples):
    movies = [(10, ["</script><script>alert(1)</script>"], 1990), *MOVIES[1:]]

    write_statistics(
        compute_statistics(write_examples(tmp_path / "examples", RATINGS, movies)), tmp_path / "out"
    )

    assert "</script><script>alert(1)" not in (tmp_path / "out" / "statistics.html").read_text()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"ratings\.parquet is missing"):
        compute_statistics(tmp_path)
