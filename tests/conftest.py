"""Small made-up ratings, taken through the project's own loaders, for every test that needs some."""

from pathlib import Path

import pytest

from recommender.data.sources import ExampleGenConfig, ingest
from recommender.data.synthetic import SyntheticConfig, generate
from recommender.features.transform import TransformConfig, transform
from recommender.features.transformed_examples import TransformedExamples

SEED = 7


@pytest.fixture(scope="session")
def ratings_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`ratings.csv` and `movies.csv`: 200 users, 300 movies, 8,000 ratings."""
    folder = tmp_path_factory.mktemp("made up ratings")
    generate(SyntheticConfig(), SEED, folder)
    return folder


@pytest.fixture(scope="session")
def examples_folder(ratings_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ExampleGen makes of them."""
    folder = tmp_path_factory.mktemp("examples") / "examples"
    ingest(ExampleGenConfig(source="directory", path=str(ratings_folder)), folder, folder.parent)
    return folder


@pytest.fixture(scope="session")
def transformed(examples_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> TransformedExamples:
    """What Transform makes of them."""
    folder = tmp_path_factory.mktemp("transformed") / "transformed"
    transform(examples_folder, TransformConfig(), SEED, folder)
    return TransformedExamples(folder)
