import pytest

from recommender.data.checks.drift import DriftConfig, check_drift, total_variation
from recommender.data.checks.previous_statistics import keep_statistics, previous_statistics
from recommender.data.schema import infer_schema
from recommender.data.statistics import compute_statistics
from recommender.data.validation import ValidationConfig, validate_examples, write_validated_examples

T = 1_000_000_000
MOVIES = [(1, ["Comedy"], 1990), (2, ["Drama"], 1991), (3, ["Drama"], 1992)]
# Ten users, each with a 2 and a 4 of a comedy and a drama: mean 3, standard deviation 1.
BEFORE = [(user, movie, value, T) for user in range(10) for movie, value in ((1, 2.0), (2, 4.0))]


@pytest.fixture
def statistics(tmp_path, write_examples):
    def compute(ratings):
        return compute_statistics(write_examples(tmp_path / "examples", ratings, MOVIES))

    return compute


def drift(now, before, **thresholds):
    found = check_drift(now, before, DriftConfig(**thresholds))
    return {anomaly.column: anomaly.message.removeprefix("not as in the previous run: ") for anomaly in found}


def test_the_same_ratings_have_not_drifted(statistics):
    nothing = {"max_count_change": 0.0, "max_mean_shift": 0.0, "max_distance": 0.0}

    assert drift(statistics(BEFORE), statistics(BEFORE), **nothing) == {}


def test_counts_that_halve_are_told_with_their_numbers(statistics):
    before, now = statistics(BEFORE), statistics([row for row in BEFORE if row[0] < 4])

    # 20 ratings become 8.
    assert drift(now, before) == {
        "n_users": "10 before, 4 now: -60%",
        "n_ratings": "20 before, 8 now: -60%",
    }
    assert drift(now, before, max_count_change=0.6) == {}


def test_a_shifted_mean_is_told_in_standard_deviations(statistics):
    before = statistics(BEFORE)
    now = statistics([(user, movie, value + 0.5, time) for user, movie, value, time in BEFORE])

    assert drift(now, before)["avg_rating"] == "3.000 before, 3.500 now: +0.50 standard deviations"
    assert "avg_rating" not in drift(now, before, max_mean_shift=0.5)


def test_distances_of_distributions_agree_with_arithmetic_by_hand(statistics):
    before = statistics(BEFORE)
    # Five users rate one more drama with a 3: of 25 ratings 10 are 2, 5 are 3, 10 are 4; 15 are of dramas.
    now = statistics([*BEFORE, *((user, 3, 3.0, T) for user in range(5))])

    assert drift(now, before, max_count_change=1.0, max_distance=0.05) == {
        # (|10/25 - 1/2| + |5/25 - 0| + |10/25 - 1/2|) / 2
        "ratings": "20% of ratings would have to have another value",
        # (|10/25 - 1/2| + |15/25 - 1/2|) / 2
        "genres": "10% of ratings would have to be of another genre",
    }
    # Users with 2 and with 3 ratings are in the same range.
    assert total_variation({"a": 3, "b": 1}, {"b": 1, "c": 1}) == (0.75 + 0.25 + 0.5) / 2


def test_users_with_many_more_ratings_have_drifted(statistics, tmp_path, write_examples):
    movies = [(movie, ["Drama"], 1990) for movie in range(1, 8)]
    ratings = [(user, movie, 3.0, T) for user in range(10) for movie in range(1, 7 if user < 4 else 3)]
    now = compute_statistics(write_examples(tmp_path / "many", ratings, movies))

    # Four users of ten went from the range 2 to 4 to the range 5 to 9.
    assert drift(now, statistics(BEFORE))["ratings_per_user"].startswith("40% of users")


def test_drift_is_a_warning_unless_it_is_to_be_an_error(statistics, tmp_path, write_examples):
    before, now = statistics(BEFORE), statistics(BEFORE[:8])
    examples = write_examples(tmp_path / "now", BEFORE[:8], MOVIES)
    schema = infer_schema(examples)

    def check(config):
        return validate_examples(examples, schema, config=config, previous=before, statistics=now)

    assert {anomaly.kind for anomaly in check(ValidationConfig()).warnings} == {"count_drift"}
    strict = ValidationConfig(drift=DriftConfig(is_error=True))
    assert {anomaly.kind for anomaly in check(strict).errors} == {"count_drift"}


def test_kept_statistics_are_those_of_the_last_run(statistics, tmp_path):
    folder = tmp_path / "kept" / "marquee"
    assert previous_statistics(folder) is None

    keep_statistics(statistics(BEFORE[:4]), folder)
    keep_statistics(statistics(BEFORE), folder)

    assert previous_statistics(folder).n_ratings == 20
    assert [path.name for path in folder.iterdir()] == ["statistics.json"]


def test_kept_statistics_of_another_version_are_no_statistics(tmp_path, caplog):
    (tmp_path / "statistics.json").write_text('{"n_users": 3}')

    assert previous_statistics(tmp_path) is None
    assert "Drift is not checked" in caplog.text


def test_the_page_shows_how_far_everything_moved_whether_too_far_or_not(tmp_path, statistics, write_examples):
    before = statistics([row for row in BEFORE if row[0] < 4])
    examples = write_examples(tmp_path / "now", BEFORE, MOVIES)
    anomalies = write_validated_examples(
        examples,
        infer_schema(examples),
        tmp_path / "report",
        tmp_path / "output",
        previous=before,
        statistics=compute_statistics(examples),
    )
    moved = {measure.column: measure.is_too_far for measure in anomalies.drift}
    # 8 ratings of 4 users become 20 of 10; the same movies, means and shares.
    assert {column for column, is_too_far in moved.items() if is_too_far} == {"n_users", "n_ratings"}
    assert moved.keys() >= {"n_movies", "avg_rating", "ratings", "genres", "ratings_per_user"}
    page = (tmp_path / "report" / "anomalies.html").read_text(encoding="utf-8")
    since = page.partition("Since the previous run")[2]
    assert "8 before, 20 now: +150%" in since
    assert since.count("too far") == 2
    assert since.count("as usual") == len(moved) - 2


def test_the_page_of_a_first_run_says_that_there_is_nothing_to_compare_with(tmp_path, write_examples):
    examples = write_examples(tmp_path / "now", BEFORE, MOVIES)
    write_validated_examples(examples, infer_schema(examples), tmp_path / "report", tmp_path / "output")
    page = (tmp_path / "report" / "anomalies.html").read_text(encoding="utf-8")
    assert "no earlier run of this name" in page
