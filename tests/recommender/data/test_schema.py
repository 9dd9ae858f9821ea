import pytest

from recommender.data.schema import infer_schema, read_schema, write_schema
from recommender.errors import DataError

MOVIES = [(movie, ["Drama"], 1990) for movie in range(1, 11)]


def rated(values):
    return [(user, user % 10 + 1, value, 900_000_000 + user) for user, value in enumerate(values)]


def inferred(tmp_path, write_examples, values):
    return infer_schema(write_examples(tmp_path / "examples", rated(values), MOVIES))


def test_half_stars_give_their_scale_and_the_time_range(tmp_path, write_examples):
    schema = inferred(tmp_path, write_examples, [0.5, 1.5, 3.0, 5.0])

    assert (schema.rating_scale.min, schema.rating_scale.max, schema.rating_scale.step) == (0.5, 5.0, 0.5)
    assert (schema.timestamps.min, schema.timestamps.max) == (900_000_000, 900_000_003)
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


def test_a_written_schema_comes_back_and_reads_as_plain_yaml(tmp_path, write_examples):
    schema = inferred(tmp_path, write_examples, [0.5, 5.0])

    write_schema(schema, tmp_path / "out")

    assert read_schema(tmp_path / "out") == schema
    assert "rating_scale:\n  min: 0.5\n  max: 5.0\n" in (tmp_path / "out" / "schema.yaml").read_text()


def test_a_schema_with_a_misspelt_key_is_refused(tmp_path, write_examples):
    write_schema(inferred(tmp_path, write_examples, [0.5, 5.0]), tmp_path)
    file = tmp_path / "schema.yaml"
    file.write_text(file.read_text().replace("rating_scale", "rating_scales"))

    with pytest.raises(DataError, match="rating_scales"):
        read_schema(tmp_path)


def test_no_rating_gives_no_schema(tmp_path, write_examples):
    with pytest.raises(DataError, match="no rating"):
        inferred(tmp_path, write_examples, [])
