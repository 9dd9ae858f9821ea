import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recommender.data.schema import (
    ColumnSchema,
    Schema,
    SchemaGenConfig,
    TimestampRange,
    infer_schema,
    parse_schema,
    read_schema,
    write_schema,
)
from recommender.data.source_report import SourceReport
from recommender.errors import ConfigurationError, DataError

MOVIES = [(movie, ["Drama"], 1990) for movie in range(1, 11)]
Y1995 = 788_918_400  # 1 January, UTC


def rated(values, start=900_000_000):
    return [(user, user % 10 + 1, value, start + user) for user, value in enumerate(values)]


def inferred(tmp_path, write_examples, values):
    return infer_schema(write_examples(tmp_path / "examples", rated(values), MOVIES))


def declare(folder, scale):
    """Put a report of ExampleGen beside examples, which declares a rating scale."""
    names = dict.fromkeys((name for name in SourceReport.model_fields if name.startswith("n_")), 0)
    texts = dict.fromkeys(
        ("source", "address", "archive_sha256", "dialect", "ratings_sha256", "movies_sha256"), ""
    )
    lists = {"files": ["ratings.csv", "movies.csv"], "notes": []}
    report = {**names, **texts, **lists, "has_timestamps": True, "rating_scale": scale}
    (folder / "source.json").write_text(json.dumps(report))


def test_half_stars_give_their_scale_and_columns(tmp_path, write_examples):
    schema = inferred(tmp_path, write_examples, [0.5, 1.5, 3.0, 5.0])

    assert (schema.rating_scale.min, schema.rating_scale.max, schema.rating_scale.step) == (0.5, 5.0, 0.5)
    assert schema.ratings["rating"].type == "float32"
    assert schema.movies["release_year"].nullable
    assert not schema.movies["tmdb_id"].required


def test_a_stray_value_does_not_widen_the_scale(tmp_path, write_examples):
    schema = inferred(tmp_path, write_examples, [1.0, 2.0, 3.0, 4.0, 5.0] * 400 + [55.0, 3.7])

    assert (schema.rating_scale.min, schema.rating_scale.max, schema.rating_scale.step) == (1.0, 5.0, 1.0)


def test_a_rare_value_that_continues_the_scale_is_part_of_it(tmp_path, write_examples):
    schema = inferred(tmp_path, write_examples, [2.0, 3.0, 4.0] * 400 + [5.0, 1.0])

    assert (schema.rating_scale.min, schema.rating_scale.max) == (1.0, 5.0)


def test_many_values_have_no_step(tmp_path, write_examples):
    schema = inferred(tmp_path, write_examples, [value / 100 for value in range(1, 201)])

    assert schema.rating_scale.step is None
    assert schema.rating_scale.max == pytest.approx(2.0)


def test_a_scale_that_the_source_declares_comes_before_what_ratings_suggest(tmp_path, write_examples):
    examples = write_examples(tmp_path / "examples", rated([4.0, 5.0]), MOVIES)
    declare(examples, {"min": 1.0, "max": 10.0, "step": 1.0})

    scale = infer_schema(examples).rating_scale

    assert (scale.min, scale.max, scale.step) == (1.0, 10.0, 1.0)


def test_where_a_rating_comes_from_is_no_part_of_the_schema(tmp_path, write_examples):
    examples = write_examples(tmp_path / "examples", rated([4.0, 5.0]), MOVIES)
    table = pq.read_table(examples / "ratings.parquet")
    table = table.append_column("source_file", pa.array([0, 0], pa.int16()))
    table = table.append_column("source_line", pa.array([2, 3], pa.int64()))
    pq.write_table(table.append_column("part", pa.array(["train", "test"])), examples / "ratings.parquet")

    schema = infer_schema(examples)

    assert list(schema.ratings) == ["user_id", "movie_id", "rating", "timestamp", "part"]


@pytest.mark.parametrize(
    ("start", "oldest"),
    [
        (900_000_000, Y1995),
        # Truly old ratings of one's own are no anomaly, as long as they are no few.
        (600_000_000, 600_000_000),
    ],
)
def test_the_oldest_possible_rating_is_from_1995_or_as_old_as_the_data(
    tmp_path, write_examples, start, oldest
):
    ratings = rated([1.0, 2.0] * 600, start)

    schema = infer_schema(write_examples(tmp_path / "examples", ratings, MOVIES))

    assert (schema.timestamps.min, schema.timestamps.max) == (oldest, None)


def test_a_stray_old_timestamp_does_not_lower_the_oldest(tmp_path, write_examples):
    ratings = [*rated([1.0, 2.0] * 600), (9999, 1, 1.0, 12_000)]

    assert infer_schema(write_examples(tmp_path / "e", ratings, MOVIES)).timestamps.min == Y1995


def test_ratings_without_times_make_timestamps_nullable(tmp_path, write_examples):
    ratings = [(user, movie, value, None) for user, movie, value, _time in rated([1.0, 2.0])]

    schema = infer_schema(write_examples(tmp_path / "examples", ratings, MOVIES))

    assert schema.timestamps is None
    assert schema.ratings["timestamp"].nullable


def test_a_written_schema_can_be_changed_and_read_back(tmp_path, write_examples):
    write_schema(inferred(tmp_path, write_examples, [1.0, 5.0]), tmp_path)
    file = tmp_path / "schema.yaml"
    text = file.read_text()
    assert text.startswith("# What ratings and movies must look like")
    assert "max: 5.0" in text

    file.write_text(text.replace("max: 5.0", "max: 10"))

    assert read_schema(tmp_path).rating_scale.max == 10.0


names = st.text(min_size=1, max_size=12)
further = st.dictionaries(
    names,
    st.builds(
        ColumnSchema,
        type=st.sampled_from(["int64", "float32", "string", "array<string>", "boolean"]),
        required=st.booleans(),
        nullable=st.booleans(),
    ),
    max_size=4,
)
scales = st.tuples(st.floats(-1e6, 1e6), st.floats(0, 1e6), st.none() | st.floats(1e-4, 10)).map(
    lambda numbers: {"min": numbers[0], "max": numbers[0] + numbers[1], "step": numbers[2]}
)
time_ranges = st.none() | st.builds(
    lambda low, span: TimestampRange(min=low, max=None if span is None else low + span),
    st.integers(0, 2**40),
    st.none() | st.integers(0, 2**40),
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(more=further, more_of_movies=further, scale=scales, timestamps=time_ranges)
def test_any_schema_comes_back_from_its_file(more, more_of_movies, scale, timestamps, tmp_path, base_schema):
    schema = Schema.model_validate(
        {
            "ratings": {**more, **base_schema.ratings},
            "movies": {**more_of_movies, **base_schema.movies},
            "rating_scale": scale,
            "timestamps": timestamps,
        }
    )

    write_schema(schema, tmp_path)

    assert read_schema(tmp_path) == schema


@pytest.fixture(scope="module")
def base_schema(tmp_path_factory, write_examples):
    return infer_schema(write_examples(tmp_path_factory.mktemp("base"), rated([1.0, 2.0]), MOVIES))


@pytest.mark.parametrize(
    ("break_it", "told"),
    [
        (lambda tree: tree["rating_scale"].update(min=9.0), "rating_scale: the lowest rating, 9, is above"),
        (lambda tree: tree["rating_scale"].update(step=0.0), "rating_scale: step 0 is not above 0"),
        (lambda tree: tree["rating_scale"].update(max="five"), "rating_scale.max: .*got 'five'"),
        (lambda tree: tree["rating_scale"].update(mx=5), "rating_scale.mx: there is no such key"),
        (lambda tree: tree.pop("timestamps"), "timestamps is missing"),
        (lambda tree: tree["timestamps"].update(max=1), "timestamps: the newest, 1, is before the oldest"),
        (
            lambda tree: tree["ratings"]["user_id"].update(type="int46"),
            "ratings.user_id.type: there is no such",
        ),
        (lambda tree: tree["ratings"].pop("user_id"), "ratings: user_id is not there"),
        (
            lambda tree: tree["ratings"]["rating"].update(type="string"),
            "rating.type must be float32, not string",
        ),
        (lambda tree: tree["movies"]["title"].update(required=False), "movies: title.required must be true"),
        (lambda tree: tree["movies"].update(poster="string"), "movies.poster: .*got 'string'"),
    ],
)
def test_a_broken_committed_schema_is_told_by_file_and_field(tmp_path, base_schema, break_it, told):
    write_schema(base_schema, tmp_path)
    file = tmp_path / "schema.yaml"
    tree = yaml.safe_load(file.read_text())
    break_it(tree)
    file.write_text(yaml.safe_dump(tree))

    with pytest.raises(ConfigurationError, match=told) as error:
        SchemaGenConfig(path=str(file)).committed()
    assert str(error.value).startswith(f"{file} is no schema:")


def test_a_committed_schema_is_passed_on_as_its_text(tmp_path, base_schema):
    write_schema(base_schema, tmp_path)

    text = SchemaGenConfig(path=str(tmp_path / "schema.yaml")).committed()

    assert parse_schema(text, "the text") == base_schema
    assert SchemaGenConfig().committed() == ""


def test_a_committed_schema_that_is_missing_or_no_yaml_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml cannot be read .*schema_gen\.path"):
        SchemaGenConfig(path=str(tmp_path / "nowhere.yaml")).committed()
    (tmp_path / "broken.yaml").write_text("ratings: [")
    with pytest.raises(ConfigurationError, match=r"broken\.yaml is no YAML"):
        SchemaGenConfig(path=str(tmp_path / "broken.yaml")).committed()
    (tmp_path / "empty.yaml").write_text("")
    with pytest.raises(ConfigurationError, match=r"empty\.yaml is no schema"):
        SchemaGenConfig(path=str(tmp_path / "empty.yaml")).committed()


def test_no_rating_gives_no_schema(tmp_path, write_examples):
    with pytest.raises(DataError, match="has no rating"):
        inferred(tmp_path, write_examples, [])
