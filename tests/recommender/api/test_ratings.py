"""Ratings from anywhere become the same checked tables."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from recommender import Ratings, load_ratings
from recommender.data.sources import ExampleGenConfig
from recommender.data.validation import ValidationConfig
from recommender.errors import DataError


@pytest.fixture(scope="module")
def loaded(ratings_folder: Path) -> Ratings:
    return load_ratings(ratings_folder)


def rated(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"user_id": [1, 1, 2], "movie_id": [7, 8, 7], "rating": [4.0, 2.5, 5.0], **columns})


def test_a_folder_gives_what_example_gen_writes(loaded: Ratings, examples_folder: Path):
    pd.testing.assert_frame_equal(
        loaded.ratings(), pd.read_parquet(examples_folder / "ratings.parquet")[list(loaded.ratings().columns)]
    )
    assert loaded.statistics.n_ratings == len(loaded.ratings()) == 8_000
    assert repr(loaded).startswith("<8,000 ratings of 300 movies by 200 users: ratings from the folder")


def test_tables_of_pandas_and_arrow_give_what_the_file_gives(loaded: Ratings):
    ratings, movies = loaded.ratings(), loaded.movies()
    for kind in (pd.DataFrame, pa.Table.from_pandas):
        again = load_ratings(kind(ratings), kind(movies))
        pd.testing.assert_frame_equal(again.ratings(), ratings)
        pd.testing.assert_frame_equal(again.movies(), movies)
        assert again.source.ratings_sha256 == loaded.source.ratings_sha256


def test_a_file_of_ratings_is_read_by_its_path(tmp_path: Path):
    rated().to_csv(tmp_path / "mine.csv", index=False)
    rated().to_parquet(tmp_path / "mine.parquet")
    csv, parquet = (load_ratings(tmp_path / f"mine.{kind}").ratings() for kind in ("csv", "parquet"))
    pd.testing.assert_frame_equal(csv, parquet)


def test_times_may_be_times():
    times = pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03"], utc=True)
    frame = load_ratings(rated(timestamp=times)).ratings()
    # 2020 began 1,577,836,800 seconds after 1970.
    assert frame["timestamp"].tolist() == [1_577_836_800, 1_577_836_800 + 86_400, 1_577_836_800 + 2 * 86_400]


def test_a_configuration_of_the_pipeline_is_taken_as_it_is(ratings_folder: Path, loaded: Ratings):
    config = ExampleGenConfig(source="directory", path=str(ratings_folder))
    assert load_ratings(config).source == loaded.source


def test_a_bad_rating_is_an_error_that_names_its_row_or_is_left_out_where_asked_for():
    with pytest.raises(DataError, match=r"^ratings\.parquet: 1 row cannot be used\.\n  row 2, rating"):
        load_ratings(rated(rating=[4.0, None, 5.0]))
    left = load_ratings(
        rated(rating=[4.0, None, 5.0]),
        validation=ValidationConfig(quarantine=True, max_quarantined_share=0.5),
    )
    assert left.ratings()["rating"].tolist() == [4.0, 5.0]
    assert left.statistics.n_ratings == 2


def test_what_is_no_source_is_told_so(tmp_path: Path):
    with pytest.raises(DataError, match=r"nowhere is not there.*ml-100k"):
        load_ratings(tmp_path / "nowhere")
    with pytest.raises(DataError, match="list is no table of ratings"):
        load_ratings([1, 2])  # type: ignore[arg-type]
    with pytest.raises(DataError, match="movies belong to a table of ratings"):
        load_ratings(tmp_path, rated())


def test_the_tables_are_kept_where_asked_for_and_otherwise_go_with_the_object(tmp_path: Path):
    kept = load_ratings(rated(), folder=tmp_path / "kept")
    assert kept.folder.is_relative_to(tmp_path / "kept")
    passing = load_ratings(rated())
    folder = passing.folder
    assert (folder / "ratings.parquet").is_file()
    del passing
    assert not folder.exists()
    assert (kept.folder / "ratings.parquet").is_file()
